select entity_type, entity_id, reason, since_at
from {{ ref('stg_do_not_contact') }}
