with read_values as (
    select
        line_number,
        {{ parse_text('product_id') }} as product_id,
        {{ parse_text('location_id') }} as location_id,
        {{ parse_text('shelf') }} as shelf,
        {{ parse_text('bin') }} as bin,
        {{ parse_number('quantity') }} as quantity,
        {{ parse_date('counted_on') }} as counted_on,
        loaded_at
    from {{ source('landing', 'stock_levels') }}
),

counted as (
    select *, {{ times_seen('product_id, location_id, shelf, bin') }} as times_seen
    from read_values
)

select
    counted.line_number,
    counted.product_id,
    counted.location_id,
    counted.shelf,
    counted.bin,
    counted.quantity,
    counted.counted_on,
    counted.loaded_at,
    case
        when counted.product_id is null then 'product_id is empty'
        when counted.times_seen > 1 then 'the place was counted on an earlier line'
        when counted.quantity is null then 'quantity is not a number'
        when products.product_id is null then 'the product is not known'
    end as rejection_reason
from counted
left join {{ ref('stg_products') }} as products
    on counted.product_id = products.product_id
