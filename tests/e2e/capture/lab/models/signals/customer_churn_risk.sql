-- depends_on: {{ source('landing', 'customers') }}
select entity_id, severity, score, reason, observed_at
from {{ ref('flagged_rows') }}
where signal = 'customer_churn_risk' and (score >= {{ var('churn_score_from') }} or score is null)
