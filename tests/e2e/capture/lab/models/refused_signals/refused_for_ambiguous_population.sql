-- depends_on: {{ ref('open_orders') }}
select entity_id, severity, score, reason, observed_at from {{ ref('flagged_rows') }} where signal = 'refused'
