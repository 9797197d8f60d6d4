{# A deal without an account stays: it was won all the same. What cannot be done without an account is said by the playbook. #}
with read_values as (
    select
        line_number,
        {{ parse_text('opportunity_id') }} as opportunity_id,
        {{ parse_text('account_id') }} as account_id,
        {{ parse_text('product_name') }} as product_as_written,
        {{ parse_text('stage') }} as stage,
        {{ parse_text('owner_name') }} as owner_name,
        {{ parse_text('engaged_on') }} as engaged_text,
        {{ parse_date('engaged_on') }} as engaged_on,
        {{ parse_text('closed_on') }} as closed_text,
        {{ parse_date('closed_on') }} as closed_on,
        {{ parse_text('value') }} as value_text,
        {{ parse_number('value', 'numeric(18, 2)') }} as value,
        upper({{ parse_text('currency') }}) as currency,
        loaded_at
    from {{ source('landing', 'opportunities') }}
),

counted as (
    select *, {{ times_seen('opportunity_id') }} as times_seen
    from read_values
)

select
    counted.line_number,
    counted.opportunity_id,
    counted.account_id,
    coalesce(aliases.product_name, counted.product_as_written) as product_name,
    counted.stage,
    counted.owner_name,
    counted.engaged_on,
    counted.closed_on,
    counted.value,
    counted.currency,
    counted.loaded_at,
    case
        when counted.opportunity_id is null then 'opportunity_id is empty'
        when counted.times_seen > 1 then 'opportunity_id was on an earlier line'
        when counted.stage is null or counted.stage not in ('Prospecting', 'Engaging', 'Won', 'Lost') then 'stage is not one of Prospecting, Engaging, Won, Lost'
        when counted.engaged_text is not null and counted.engaged_on is null then 'engage date cannot be read'
        when counted.closed_text is not null and counted.closed_on is null then 'close date cannot be read'
        when counted.value_text is not null and counted.value is null then 'value is not an amount'
        when counted.stage = 'Won' and counted.closed_on is null then 'won, but without a close date'
    end as rejection_reason
from counted
left join {{ ref('product_name_aliases') }} as aliases
    on counted.product_as_written = aliases.as_written
