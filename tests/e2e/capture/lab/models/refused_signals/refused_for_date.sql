select entity_id, severity, score, reason, cast(observed_at as date) as observed_at from {{ ref('flagged_rows') }} where signal = 'refused'
