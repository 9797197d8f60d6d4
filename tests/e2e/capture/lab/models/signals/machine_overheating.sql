select entity_id, severity, score, reason, observed_at
from {{ ref('flagged_rows') }}
where signal = 'machine_overheating'
