with read_values as (
    select
        line_number,
        {{ parse_text('order_number') }} as order_number,
        {{ parse_text('product_id') }} as product_id,
        {{ parse_text('supplier_id') }} as supplier_id,
        {{ parse_number('quantity') }} as quantity,
        {{ parse_date('ordered_on') }} as ordered_on,
        {{ parse_date('expected_on') }} as expected_on,
        loaded_at
    from {{ source('landing', 'open_orders') }}
),

counted as (
    select *, {{ times_seen('order_number, product_id') }} as times_seen
    from read_values
)

select
    line_number,
    order_number,
    product_id,
    supplier_id,
    quantity,
    ordered_on,
    expected_on,
    loaded_at,
    case
        when order_number is null then 'order number is empty'
        when product_id is null then 'product_id is empty'
        when times_seen > 1 then 'the order line was on an earlier line'
        when quantity is null or quantity < 0 then 'quantity is not a quantity'
        when expected_on is null then 'expected date cannot be read'
    end as rejection_reason
from counted
