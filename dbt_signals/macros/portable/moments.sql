{#
  A moment that says its zone, from a column that holds UTC without saying so, as the landing tables' loaded_at does. It goes through
  the epoch, because a cast would read the column in the session's zone; a column that has a zone already keeps its instant.
#}
{% macro utc_moment(column) %}{{ return(adapter.dispatch('utc_moment')(column)) }}{% endmacro %}
{% macro default__utc_moment(column) %}make_timestamptz(epoch_us({{ column }})){% endmacro %}
{% macro postgres__utc_moment(column) %}to_timestamp(extract(epoch from {{ column }})){% endmacro %}
{% macro snowflake__utc_moment(column) -%}
to_timestamp_tz(to_varchar(to_timestamp_ntz(date_part(epoch_microsecond, {{ column }}), 6), 'YYYY-MM-DD HH24:MI:SS.FF6') || ' +00:00', 'YYYY-MM-DD HH24:MI:SS.FF6 TZH:TZM')
{%- endmacro %}
