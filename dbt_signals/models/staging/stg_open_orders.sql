select
    order_number,
    product_id,
    supplier_id,
    quantity,
    ordered_on,
    expected_on,
    loaded_at
from {{ ref('typed_open_orders') }}
where rejection_reason is null
