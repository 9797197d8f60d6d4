select
    supplier_id,
    account_number,
    supplier_name,
    credit_rating,
    is_preferred,
    is_active,
    email,
    currency,
    loaded_at
from {{ ref('typed_suppliers') }}
where rejection_reason is null
