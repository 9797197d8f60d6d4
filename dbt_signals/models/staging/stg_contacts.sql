select
    contact_id,
    customer_id,
    account_id,
    contact_name,
    first_name,
    last_name,
    email,
    phone,
    is_primary,
    loaded_at
from {{ ref('typed_contacts') }}
where rejection_reason is null
