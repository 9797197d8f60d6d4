{# Products that nobody has counted: unknown stock is not zero stock, so they are reported here and never flagged. #}
select
    products.product_id,
    products.product_number,
    products.product_name,
    products.reorder_point
from {{ ref('stg_products') }} as products
left join {{ ref('product_stock_positions') }} as positions
    on products.product_id = positions.product_id
where positions.product_id is null and products.discontinued_on is null
