-- depends_on: {{ ref('open_orders') }}
-- depends_on: {{ source('landing', 'suppliers') }}
select
    entity_id, severity, score, reason,
    timestamptz '2026-01-01 02:00:00+02' as observed_at,
    1 as "order",
    'a column named as the capture names its rows' as flagged_row,
    date '2026-01-02' as due_on
from {{ ref('flagged_rows') }}
where signal = 'supplier_overdue'
