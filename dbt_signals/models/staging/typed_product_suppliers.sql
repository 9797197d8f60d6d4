with read_values as (
    select
        line_number,
        {{ parse_text('product_id') }} as product_id,
        {{ parse_text('supplier_id') }} as supplier_id,
        {{ parse_number('unit_price') }} as unit_price,
        {{ parse_integer('lead_time_days') }} as lead_time_days,
        {{ parse_text('min_order_quantity') }} as min_order_quantity_text,
        {{ parse_integer('min_order_quantity') }} as min_order_quantity,
        {{ parse_text('max_order_quantity') }} as max_order_quantity_text,
        {{ parse_integer('max_order_quantity') }} as max_order_quantity,
        {{ parse_text('unit_of_measure') }} as unit_of_measure,
        loaded_at
    from {{ source('landing', 'product_suppliers') }}
),

counted as (
    select *, {{ times_seen('product_id, supplier_id') }} as times_seen
    from read_values
)

select
    counted.line_number,
    counted.product_id,
    counted.supplier_id,
    counted.unit_price,
    counted.lead_time_days,
    counted.min_order_quantity,
    counted.max_order_quantity,
    counted.unit_of_measure,
    counted.loaded_at,
    case
        when counted.product_id is null then 'product_id is empty'
        when counted.supplier_id is null then 'supplier_id is empty'
        when counted.times_seen > 1 then 'the pair was on an earlier line'
        when counted.unit_price is null or counted.unit_price < 0 then 'price is not an amount'
        when counted.lead_time_days is null or counted.lead_time_days not between 0 and 3650 then 'lead time is not a whole number of days up to 3650'
        when counted.min_order_quantity_text is not null and coalesce(counted.min_order_quantity, -1) < 0 then 'minimum order is neither empty nor a quantity'
        when counted.max_order_quantity_text is not null and coalesce(counted.max_order_quantity, 0) < 1 then 'maximum order is neither empty nor a quantity'
        when counted.max_order_quantity < counted.min_order_quantity then 'maximum order is below minimum order'
        when products.product_id is null then 'the product is not known'
        when suppliers.supplier_id is null then 'the supplier is not known'
    end as rejection_reason
from counted
left join {{ ref('stg_products') }} as products
    on counted.product_id = products.product_id
left join {{ ref('stg_suppliers') }} as suppliers
    on counted.supplier_id = suppliers.supplier_id
