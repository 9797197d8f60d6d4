with read_values as (
    select
        line_number,
        {{ parse_text('contact_id') }} as contact_id,
        {{ parse_text('customer_id') }} as customer_id,
        {{ parse_text('account_id') }} as account_id,
        {{ parse_text('contact_name') }} as contact_name,
        {{ parse_text('first_name') }} as first_name,
        {{ parse_text('last_name') }} as last_name,
        {{ parse_text('email') }} as email,
        {{ parse_text('phone') }} as phone,
        coalesce({{ parse_flag('is_primary') }}, false) as is_primary,
        loaded_at
    from {{ source('landing', 'contacts') }}
),

counted as (
    select *, {{ times_seen('contact_id') }} as times_seen
    from read_values
)

select
    line_number,
    contact_id,
    customer_id,
    account_id,
    contact_name,
    first_name,
    last_name,
    email,
    phone,
    is_primary,
    loaded_at,
    case
        when contact_id is null then 'contact_id is empty'
        when times_seen > 1 then 'contact_id was on an earlier line'
        when customer_id is null and account_id is null then 'neither a customer nor an account is named'
    end as rejection_reason
from counted
