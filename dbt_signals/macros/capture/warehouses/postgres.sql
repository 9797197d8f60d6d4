{# PostgreSQL's answers where they differ from the default. #}

{# the epoch of a zone-less value is counted as if it were UTC, that of a zoned one from its instant: no session zone takes part #}
{% macro postgres__signal_utc(value) %}{{ return("(to_timestamp(extract(epoch from " ~ value ~ ")) at time zone 'UTC')") }}{% endmacro %}

{% macro postgres__signal_moment_text(moment) %}{{ return("to_char(" ~ moment ~ ", 'YYYY-MM-DD HH24:MI:SS.US')") }}{% endmacro %}

{% macro postgres__signal_clock() %}
  {{ return(run_query('select ' ~ signal_moment_text("clock_timestamp() at time zone 'UTC'")).rows[0][0]) }}
{% endmacro %}

{% macro postgres__signal_row_json(alias, columns) %}{{ return('cast(row_to_json(' ~ alias ~ ') as text)') }}{% endmacro %}

{# an exact numeric can be NaN here too, and so can a member of an array, whose type dbt reports as "ARRAY" #}
{% macro postgres__signal_not_finite(column) %}
  {% if column.is_float() or column.is_numeric() %}{{ return(column.quoted ~ " in ('NaN', 'Infinity', '-Infinity')") }}{% endif %}
  {% if column.dtype | lower == 'array' %}
    {{ return("(cast(pg_typeof(" ~ column.quoted ~ ") as text) in ('double precision[]', 'real[]', 'numeric[]') and cast(" ~ column.quoted ~ " as text) ~ 'NaN|Infinity')") }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}

{% macro postgres__signal_keys_enforced() %}{{ return(true) }}{% endmacro %}

{% macro postgres__signal_tables_complete() %}
  {% set builds = signal_relation('signal_builds') %}
  {% do run_query('create unique index if not exists signal_builds_signal_build_no on ' ~ builds ~ ' (signal, build_no)') %}
{% endmacro %}

{% macro postgres__signal_tables_lock() %}{% do signal_lock('(the tables)') %}{% endmacro %}

{% macro postgres__signal_lock(name) %}
  {% do run_query('select pg_advisory_xact_lock(hashtextextended(' ~ signal_literal('signal capture ' ~ target.schema ~ '.' ~ name) ~ ', 0))') %}
{% endmacro %}

{% macro postgres__signal_statistics(relation) %}{% do run_query('analyze ' ~ relation) %}{% endmacro %}

{# the scratch table is created from its query because only then is the query planned in parallel; insert ... select never is #}
{% macro postgres__signal_write(capture) %}
  {% if capture.difference %}
    {% do run_query('create temporary table ' ~ capture.scratch ~ ' on commit drop as ' ~ capture.difference) %}
    {% do run_query(capture.events) %}
    {% do run_query(capture.state) %}
  {% endif %}
  {% do run_query(capture.build) %}
{% endmacro %}
