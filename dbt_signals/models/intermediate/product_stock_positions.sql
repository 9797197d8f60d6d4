{# What will be left of each counted product when a delivery ordered today could arrive: the population of the stock signal. #}
with counted_stock as (
    select
        product_id,
        sum(quantity) as stock_on_hand,
        max(loaded_at) as loaded_at
    from {{ ref('stg_stock_levels') }}
    group by product_id
),

{# A line that is overdue for longer than the limit cannot be relied upon, so it is shown and not counted. #}
reliance as (
    select cast({{ dbt.dateadd('day', -var('overdue_order_limit_days'), 'max(loaded_at)') }} as date) as begins_on
    from counted_stock
),

on_order as (
    select
        orders.product_id,
        sum(case when orders.expected_on >= reliance.begins_on then orders.quantity else 0 end) as on_order,
        sum(case when orders.expected_on < reliance.begins_on then orders.quantity else 0 end) as overdue_on_order
    from {{ ref('stg_open_orders') }} as orders
    cross join reliance
    group by orders.product_id
),

positions as (
    select
        products.product_id,
        products.product_number,
        products.product_name,
        products.reorder_point,
        coalesce(products.safety_stock_level, 0) as safety_stock_level,
        coalesce(products.daily_demand, 0) as daily_demand,
        suppliers.supplier_id,
        suppliers.supplier_name,
        suppliers.currency,
        suppliers.unit_price,
        suppliers.min_order_quantity,
        suppliers.max_order_quantity,
        suppliers.is_within_lead_time,
        suppliers.lead_time_days,
        coalesce(suppliers.lead_time_days, {{ var('assumed_lead_time_days') }}) as days_to_delivery,
        counted_stock.stock_on_hand,
        coalesce(on_order.on_order, 0) as on_order,
        coalesce(on_order.overdue_on_order, 0) as overdue_on_order,
        counted_stock.loaded_at
    from {{ ref('stg_products') }} as products
    inner join counted_stock
        on products.product_id = counted_stock.product_id
    left join on_order
        on products.product_id = on_order.product_id
    left join {{ ref('product_preferred_suppliers') }} as suppliers
        on products.product_id = suppliers.product_id
    where products.discontinued_on is null
)

select
    product_id,
    product_number,
    product_name,
    reorder_point,
    safety_stock_level,
    daily_demand,
    supplier_id,
    supplier_name,
    currency,
    unit_price,
    min_order_quantity,
    max_order_quantity,
    is_within_lead_time,
    lead_time_days,
    cast(stock_on_hand as numeric(18, 4)) as stock_on_hand,
    cast(on_order as numeric(18, 4)) as on_order,
    cast(overdue_on_order as numeric(18, 4)) as overdue_on_order,
    cast(daily_demand * days_to_delivery as numeric(18, 4)) as expected_demand,
    cast(stock_on_hand - daily_demand * days_to_delivery + on_order as numeric(18, 4)) as projected_stock,
    loaded_at
from positions
