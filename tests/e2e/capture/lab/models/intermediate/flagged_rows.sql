select signal, entity_id, severity, score, reason, observed_at
from {{ source('landing', 'flag_rows') }}
where is_flagged
