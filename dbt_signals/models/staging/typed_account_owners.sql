with read_values as (
    select
        line_number,
        lower({{ parse_text('owned_type') }}) as owned_type,
        {{ parse_text('owned_id') }} as owned_id,
        {{ parse_text('owner_name') }} as owner_name,
        {{ parse_text('owner_email') }} as owner_email,
        {{ parse_text('slack_handle') }} as slack_handle,
        loaded_at
    from {{ source('landing', 'account_owners') }}
),

counted as (
    select *, {{ times_seen('owned_type, owned_id') }} as times_seen
    from read_values
)

select
    line_number,
    owned_type,
    owned_id,
    owner_name,
    owner_email,
    slack_handle,
    loaded_at,
    case
        when owned_type is null or owned_type not in ('customer', 'account') then 'owned_type is not one of customer, account'
        when owned_id is null then 'owned_id is empty'
        when times_seen > 1 then 'an owner was named on an earlier line'
    end as rejection_reason
from counted
