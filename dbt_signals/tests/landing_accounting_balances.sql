{# Every landed row is either used or rejected with a reason. #}
select landing_table, rows_read, rows_used, rows_rejected
from {{ ref('landing_accounting') }}
where rows_read <> rows_used + rows_rejected
