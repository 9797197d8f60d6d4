{# Rows read = rows used + rows rejected, one row a landing table. #}
with read_rows as (
    {% for table in landing_tables() %}
    select '{{ table }}' as landing_table, count(*) as rows_read from {{ source('landing', table) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

used_rows as (
    {% for table in landing_tables() %}
    select '{{ table }}' as landing_table, count(*) as rows_used from {{ ref('stg_' ~ table) }}
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

rejections as (
    select landing_table, count(*) as rows_rejected
    from {{ ref('rejected_rows') }}
    group by landing_table
)

select
    read_rows.landing_table,
    cast(read_rows.rows_read as bigint) as rows_read,
    cast(used_rows.rows_used as bigint) as rows_used,
    cast(coalesce(rejections.rows_rejected, 0) as bigint) as rows_rejected
from read_rows
inner join used_rows
    on read_rows.landing_table = used_rows.landing_table
left join rejections
    on read_rows.landing_table = rejections.landing_table
