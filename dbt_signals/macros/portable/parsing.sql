{# Landed text as typed values. What cannot be read becomes null, never an error: staging refuses the row and says why. #}

{% macro parse_text(column) %}nullif(trim({{ column }}), ''){% endmacro %}

{# is the whole text of the form of the (anchored) regular expression #}
{% macro is_written_as(column, pattern) %}{{ return(adapter.dispatch('is_written_as')(column, pattern)) }}{% endmacro %}
{% macro default__is_written_as(column, pattern) %}regexp_like({{ column }}, '{{ pattern }}'){% endmacro %}
{% macro duckdb__is_written_as(column, pattern) %}regexp_matches({{ column }}, '{{ pattern }}'){% endmacro %}
{% macro postgres__is_written_as(column, pattern) %}({{ column }} ~ '{{ pattern }}'){% endmacro %}
{# Snowflake's regexp_like anchors the pattern at both ends by itself; what begins like a date may go on #}
{% macro snowflake__is_written_as(column, pattern) %}(regexp_substr({{ column }}, '{{ pattern }}') is not null){% endmacro %}
{% macro bigquery__is_written_as(column, pattern) %}regexp_contains({{ column }}, r'{{ pattern }}'){% endmacro %}

{# the text as that type, or null where the warehouse would refuse it #}
{% macro cast_or_null(column, type) %}{{ return(adapter.dispatch('cast_or_null')(column, type)) }}{% endmacro %}
{% macro default__cast_or_null(column, type) %}try_cast({{ column }} as {{ type }}){% endmacro %}
{% macro postgres__cast_or_null(column, type) %}case when pg_input_is_valid({{ column }}, '{{ type }}') then cast({{ column }} as {{ type }}) end{% endmacro %}
{# Snowflake's integer has 38 digits; a number that others refuse as too large is refused there too #}
{% macro snowflake__cast_or_null(column, type) -%}
{%- if type == 'integer' -%}
case when try_cast({{ column }} as integer) between -2147483648 and 2147483647 then try_cast({{ column }} as integer) end
{%- else -%}
try_cast({{ column }} as {{ type }})
{%- endif -%}
{%- endmacro %}
{% macro bigquery__cast_or_null(column, type) %}safe_cast({{ column }} as {{ type }}){% endmacro %}

{# Digits only: 'NaN', 'Infinity' and '1e99' are numbers to some warehouses and are not amounts of anything. The default
   type leaves room for products of two of them within the warehouses' 38 digits. #}
{% macro parse_number(column, type='numeric(14, 4)') -%}
case when {{ is_written_as('trim(' ~ column ~ ')', '^-?[0-9]+([.][0-9]+)?$') }} then {{ cast_or_null('trim(' ~ column ~ ')', type) }} end
{%- endmacro %}

{% macro parse_integer(column) -%}
case when {{ is_written_as('trim(' ~ column ~ ')', '^-?[0-9]+$') }} then {{ cast_or_null('trim(' ~ column ~ ')', 'integer') }} end
{%- endmacro %}

{# 'No internet service' is a no: what is not there is not used. #}
{% macro parse_flag(column) -%}
case
    when lower(trim({{ column }})) in ('yes', 'true', '1') then true
    when lower(trim({{ column }})) in ('no', 'false', '0', 'no internet service', 'no phone service') then false
end
{%- endmacro %}

{# 2016-10-20, 2016-10-20 00:00:00 or 10/20/2016 #}
{% macro parse_date(column) -%}
case
    when {{ is_written_as('trim(' ~ column ~ ')', '^[0-9]{4}-[0-9]{2}-[0-9]{2}') }}
        then {{ cast_or_null('substr(trim(' ~ column ~ '), 1, 10)', 'date') }}
    when {{ is_written_as('trim(' ~ column ~ ')', '^[0-9]{1,2}/[0-9]{1,2}/[0-9]{4}$') }}
        then {{ cast_or_null(iso_from_us_date('trim(' ~ column ~ ')'), 'date') }}
end
{%- endmacro %}

{% macro iso_from_us_date(text) -%}
({{ dbt.split_part(text, "'/'", 3) }} || '-' || lpad({{ dbt.split_part(text, "'/'", 1) }}, 2, '0') || '-' || lpad({{ dbt.split_part(text, "'/'", 2) }}, 2, '0'))
{%- endmacro %}

{% macro parse_timestamp(column) -%}
case when {{ is_written_as('trim(' ~ column ~ ')', '^[0-9]{4}-[0-9]{2}-[0-9]{2}') }} then {{ cast_or_null('trim(' ~ column ~ ')', 'timestamp') }} end
{%- endmacro %}

{# the line of the file that says it first wins; later lines with the same key are refused #}
{% macro times_seen(key) -%}
row_number() over (partition by {{ key }} order by line_number)
{%- endmacro %}
