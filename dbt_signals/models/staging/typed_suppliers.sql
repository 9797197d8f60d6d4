with read_values as (
    select
        line_number,
        {{ parse_text('supplier_id') }} as supplier_id,
        {{ parse_text('account_number') }} as account_number,
        {{ parse_text('supplier_name') }} as supplier_name,
        {{ parse_integer('credit_rating') }} as credit_rating,
        {{ parse_flag('is_preferred') }} as is_preferred,
        {{ parse_flag('is_active') }} as is_active,
        {{ parse_text('email') }} as email,
        upper({{ parse_text('currency') }}) as currency,
        loaded_at
    from {{ source('landing', 'suppliers') }}
),

counted as (
    select *, {{ times_seen('supplier_id') }} as times_seen
    from read_values
)

select
    line_number,
    supplier_id,
    account_number,
    supplier_name,
    credit_rating,
    is_preferred,
    is_active,
    email,
    currency,
    loaded_at,
    case
        when supplier_id is null then 'supplier_id is empty'
        when times_seen > 1 then 'supplier_id was on an earlier line'
        when supplier_name is null then 'supplier name is empty'
        when is_active is null then 'whether the supplier is active is neither yes nor no'
    end as rejection_reason
from counted
