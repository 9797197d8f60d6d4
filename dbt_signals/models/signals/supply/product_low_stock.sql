with low as (
    select
        *,
        case
            when projected_stock <= 0 or reorder_point = 0 then 1.0
            else {{ rounded_float('1 - projected_stock / reorder_point') }}
        end as shortfall_share,
        ceil(reorder_point + safety_stock_level - projected_stock) as wanted_quantity
    from {{ ref('product_stock_positions') }}
    where projected_stock < reorder_point
),

ordered as (
    select
        *,
        case
            when supplier_id is not null
                then least(greatest(wanted_quantity, min_order_quantity), coalesce(max_order_quantity, greatest(wanted_quantity, min_order_quantity)))
        end as order_quantity
    from low
),

{# the numbers have four decimals; a planner reads whole pieces #}
in_words as (
    select
        *,
        {{ as_text('cast(round(projected_stock, 0) as bigint)') }} as projected_words,
        {{ as_text('cast(round(reorder_point, 0) as bigint)') }} as reorder_words,
        {{ as_text('cast(order_quantity as bigint)') }} as order_words
    from ordered
)

select
    product_id as entity_id,
    case
        when stock_on_hand <= 0 or shortfall_share >= 1.0 then 'critical'
        when shortfall_share >= 0.5 then 'high'
        when shortfall_share >= 0.2 then 'medium'
        else 'low'
    end as severity,
    cast(shortfall_share as double precision) as score,
    product_name || ': ' || projected_words || ' left when a delivery could arrive, reorder point ' || reorder_words
    || case
        when supplier_id is null then '; no active supplier, find one'
        when order_quantity < wanted_quantity then '; order ' || order_words || ' from ' || supplier_name || ', the most it takes at once'
        else '; order ' || order_words || ' from ' || supplier_name
    end
    || case when supplier_id is not null and not is_within_lead_time then ', which needs ' || {{ as_text('lead_time_days') }} || ' days' else '' end as reason,
    {{ utc_moment('loaded_at') }} as observed_at,
    product_number,
    product_name,
    supplier_id,
    supplier_name,
    cast(unit_price as numeric(18, 4)) as unit_price,
    cast(order_quantity as bigint) as order_quantity,
    cast(cast(order_quantity as bigint) * unit_price as numeric(28, 2)) as order_value,
    lead_time_days,
    coalesce(currency, '{{ var("default_currency") }}') as currency,
    stock_on_hand,
    on_order,
    overdue_on_order,
    expected_demand,
    projected_stock,
    cast(reorder_point as numeric(18, 4)) as reorder_point,
    cast(wanted_quantity as bigint) as wanted_quantity
from in_words
