select
    entity_type,
    entity_id,
    reason,
    since_at,
    loaded_at
from {{ ref('typed_do_not_contact') }}
where rejection_reason is null
