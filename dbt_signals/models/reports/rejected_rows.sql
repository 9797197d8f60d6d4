{# Every landed row that staging refused, by name and with its reason. #}
{% for table, key in landing_tables().items() %}
select
    '{{ table }}' as landing_table,
    line_number,
    {% for column in key %}coalesce({{ column }}, '(empty)'){{ " || ' / ' || " if not loop.last }}{% endfor %} as row_key,
    rejection_reason as reason,
    loaded_at
from {{ ref('typed_' ~ table) }}
where rejection_reason is not null
{{ 'union all' if not loop.last }}
{% endfor %}
