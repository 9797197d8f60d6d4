select entity_id, severity, score, observed_at from {{ ref('flagged_rows') }} where signal = 'refused'
