{{ config(materialized='view') }}
select entity_id, severity, score, reason, observed_at from {{ ref('flagged_rows') }} where signal = 'refused'
