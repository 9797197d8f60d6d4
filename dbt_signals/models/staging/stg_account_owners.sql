select
    owned_type,
    owned_id,
    owner_name,
    owner_email,
    slack_handle,
    loaded_at
from {{ ref('typed_account_owners') }}
where rejection_reason is null
