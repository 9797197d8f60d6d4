{#- What differs between DuckDB and PostgreSQL, and how chance is drawn: every draw is a slice of an md5, so that a
    seed gives the same company on both. -#}
{% macro draw(hash, slice) -%}
{%- if dialect == 'duckdb' -%}
cast('0x' || substr({{ hash }}, {{ 4 * slice + 1 }}, 4) as bigint)
{%- else -%}
cast(cast('x' || substr({{ hash }}, {{ 4 * slice + 1 }}, 4) as bit(16)) as integer)
{%- endif -%}
{%- endmacro %}

{% macro chance(topic, key) -%}
md5('{{ seed }}|{{ topic }}|' || cast({{ key }} as varchar))
{%- endmacro %}

{% macro quotient(amount, divisor) -%}
{%- if dialect == 'duckdb' -%}(({{ amount }}) // ({{ divisor }})){%- else -%}(({{ amount }}) / ({{ divisor }})){%- endif -%}
{%- endmacro %}

{% macro text(expression) -%}
cast({{ expression }} as varchar)
{%- endmacro %}

{% macro padded(number, width=9) -%}
lpad(cast({{ number }} as varchar), {{ width }}, '0')
{%- endmacro %}

{% macro money(cents) -%}
cast({{ quotient(cents, 100) }} as varchar) || '.' || lpad(cast(({{ cents }}) % 100 as varchar), 2, '0')
{%- endmacro %}

{% macro choice(options, draw) -%}
(array[{% for option in options %}{{ option | literal }}{{ ', ' if not loop.last }}{% endfor %}])[1 + cast(({{ draw }}) % {{ options | length }} as integer)]
{%- endmacro %}

{% macro yes_no(condition) -%}
case when {{ condition }} then 'Yes' else 'No' end
{%- endmacro %}

{% macro date_text(days_ago) -%}
cast(cast('{{ as_of_date }}' as date) - cast({{ days_ago }} as integer) as varchar)
{%- endmacro %}

{% macro loaded_at() -%}
cast('{{ as_of }}' as timestamp)
{%- endmacro %}
