with read_values as (
    select
        line_number,
        {{ parse_text('account_id') }} as account_id,
        {{ parse_text('account_name') }} as account_name,
        {{ parse_text('segment') }} as segment,
        loaded_at
    from {{ source('landing', 'accounts') }}
),

counted as (
    select *, {{ times_seen('account_id') }} as times_seen
    from read_values
)

select
    line_number,
    account_id,
    account_name,
    segment,
    loaded_at,
    case
        when account_id is null then 'account_id is empty'
        when times_seen > 1 then 'account_id was on an earlier line'
        when account_name is null then 'account name is empty'
    end as rejection_reason
from counted
