select
    product_id,
    location_id,
    shelf,
    bin,
    quantity,
    counted_on,
    loaded_at
from {{ ref('typed_stock_levels') }}
where rejection_reason is null
