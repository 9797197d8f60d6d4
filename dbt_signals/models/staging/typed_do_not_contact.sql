{# A row whose date cannot be read is used: a wish not to be contacted counts more than its date. #}
with read_values as (
    select
        line_number,
        lower({{ parse_text('entity_type') }}) as entity_type,
        {{ parse_text('entity_id') }} as entity_id,
        {{ parse_text('reason') }} as reason,
        {{ parse_timestamp('since_at') }} as since_at,
        loaded_at
    from {{ source('landing', 'do_not_contact') }}
),

counted as (
    select *, {{ times_seen('entity_type, entity_id') }} as times_seen
    from read_values
)

select
    line_number,
    entity_type,
    entity_id,
    reason,
    since_at,
    loaded_at,
    case
        when entity_type is null or entity_type not in ('customer', 'account') then 'entity_type is not one of customer, account'
        when entity_id is null then 'entity_id is empty'
        when times_seen > 1 then 'the entity was on an earlier line'
    end as rejection_reason
from counted
