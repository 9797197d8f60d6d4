select
    supplier_id,
    supplier_name,
    account_number,
    email,
    coalesce(currency, '{{ var("default_currency") }}') as currency,
    credit_rating,
    is_active
from {{ ref('stg_suppliers') }}
