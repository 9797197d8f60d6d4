select entity_id, severity, score, reason, observed_at, array[cast('NaN' as double precision)] as readings from {{ ref('flagged_rows') }} where signal = 'refused'
