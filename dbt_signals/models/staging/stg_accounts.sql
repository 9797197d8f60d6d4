select
    account_id,
    account_name,
    segment,
    loaded_at
from {{ ref('typed_accounts') }}
where rejection_reason is null
