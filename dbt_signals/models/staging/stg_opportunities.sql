select
    opportunity_id,
    account_id,
    product_name,
    stage,
    owner_name,
    engaged_on,
    closed_on,
    value,
    currency,
    loaded_at
from {{ ref('typed_opportunities') }}
where rejection_reason is null
