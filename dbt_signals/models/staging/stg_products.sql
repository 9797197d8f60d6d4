select
    product_id,
    product_number,
    product_name,
    safety_stock_level,
    reorder_point,
    list_price,
    daily_demand,
    discontinued_on,
    loaded_at
from {{ ref('typed_products') }}
where rejection_reason is null
