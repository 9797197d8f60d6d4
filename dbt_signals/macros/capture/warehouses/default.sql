{# DuckDB's answers where nothing better is known: it is the embedded default, and its dialect is close to the others'. #}

{% macro default__signal_moment_type() %}{{ return('timestamp') }}{% endmacro %}

{# through the epoch, because a cast would read a zone-less value in the session's zone #}
{% macro default__signal_utc(value) %}{{ return('make_timestamp(epoch_us(' ~ value ~ '))') }}{% endmacro %}

{% macro default__signal_moment_text(moment) %}{{ return("strftime(" ~ moment ~ ", '%Y-%m-%d %H:%M:%S.%f')") }}{% endmacro %}

{# DuckDB runs inside this process, so the process's clock is the warehouse's; its own now() stands still in a transaction #}
{% macro default__signal_clock() %}
  {{ return(modules.datetime.datetime.now(modules.pytz.utc).strftime('%Y-%m-%d %H:%M:%S.%f')) }}
{% endmacro %}

{% macro default__signal_literal(value) %}{{ return("'" ~ (value | string | replace("'", "''")) ~ "'") }}{% endmacro %}

{% macro default__signal_row_json(alias, columns) %}{{ return('cast(to_json(' ~ alias ~ ') as varchar)') }}{% endmacro %}

{#
  DuckDB writes NaN and Infinity bare into JSON, which no parser has to accept, and json_valid() lets them pass. In a list, struct or map
  they are looked for in the JSON text with its strings taken out: no other JSON word contains "nan" or "inf".
#}
{% macro default__signal_not_finite(column) %}
  {% if column.is_float() %}{{ return('not isfinite(cast(' ~ column.quoted ~ ' as double))') }}{% endif %}
  {% set type = column.dtype | lower %}
  {% if '[' in type or '(' in type and not type.startswith('decimal') and not type.startswith('enum') and not type.startswith('varchar') %}
    {% set without_strings = "regexp_replace(cast(to_json(" ~ column.quoted ~ ") as varchar), '\"(\\\\.|[^\"\\\\])*\"', '', 'g')" %}
    {{ return("regexp_matches(" ~ without_strings ~ ", 'nan|inf', 'i')") }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}

{# keys would double the time of a large wave and triple the file; one process writes, so a look at signal_events does the same #}
{% macro default__signal_keys_enforced() %}{{ return(false) }}{% endmacro %}

{% macro default__signal_tables_complete() %}{% endmacro %}

{# a DuckDB file has one writing process #}
{% macro default__signal_tables_lock() %}{% endmacro %}

{% macro default__signal_lock(name) %}{% endmacro %}

{% macro default__signal_statistics(relation) %}{% endmacro %}

{# run_query never opens dbt's transaction; a statement with auto_begin does #}
{% macro default__signal_hook_begin() %}
  {% call statement('signal_hook_begin', auto_begin=true) %}select 1{% endcall %}
{% endmacro %}

{# a transaction that an on-run hook opens is rolled back unless the hook commits it #}
{% macro default__signal_hook_commit() %}{% do adapter.commit() %}{% endmacro %}

{# dbt holds the model's transaction open around a post-hook: what is run here is committed with the table, or rolled back with it #}
{% macro default__signal_write(capture) %}
  {% if capture.difference %}
    {% do run_query('create or replace temporary table ' ~ capture.scratch ~ ' as ' ~ capture.difference) %}
    {% if not signal_keys_enforced() %}{% do signal_refuse_repeated_events(capture) %}{% endif %}
    {% do run_query(capture.events) %}
    {% do run_query(capture.state) %}
  {% endif %}
  {% do run_query(capture.build) %}
  {% if capture.difference %}{% do run_query('drop table if exists ' ~ capture.scratch) %}{% endif %}
{% endmacro %}
