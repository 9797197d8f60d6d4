select
    product_id,
    supplier_id,
    unit_price,
    lead_time_days,
    min_order_quantity,
    max_order_quantity,
    unit_of_measure,
    loaded_at
from {{ ref('typed_product_suppliers') }}
where rejection_reason is null
