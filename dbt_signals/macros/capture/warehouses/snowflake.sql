{#
  Snowflake's answers. Its DDL commits and dbt runs it in autocommit, so a refused table stays visible there, and what a capture
  writes is one scripting block with a transaction of its own.
#}

{% macro snowflake__signal_moment_type() %}{{ return('timestamp_ntz') }}{% endmacro %}

{% macro snowflake__signal_utc(value) %}{{ return('to_timestamp_ntz(date_part(epoch_microsecond, ' ~ value ~ '), 6)') }}{% endmacro %}

{% macro snowflake__signal_moment_text(moment) %}{{ return("to_varchar(" ~ moment ~ ", 'YYYY-MM-DD HH24:MI:SS.FF6')") }}{% endmacro %}

{% macro snowflake__signal_clock() %}
  {{ return(run_query('select ' ~ signal_moment_text('sysdate()')).rows[0][0]) }}
{% endmacro %}

{# a backslash starts an escape in Snowflake's literals, and two dollars would end the block that a literal stands in #}
{% macro snowflake__signal_literal(value) %}
  {% set text = "'" ~ (value | string | replace('\\', '\\\\') | replace("'", "''")) ~ "'" %}
  {{ return('(' ~ text | replace('$', "$' || '") ~ ')' if '$$' in text else text) }}
{% endmacro %}

{% macro snowflake__signal_row_json(alias, columns) %}
  {% set members = [] %}
  {% for column in columns %}{% do members.append(signal_literal(column.name | lower) ~ ', ' ~ alias ~ '.' ~ column.quoted) %}{% endfor %}
  {{ return('to_json(object_construct_keep_null(' ~ members | join(', ') ~ '))') }}
{% endmacro %}

{% macro snowflake__signal_not_finite(column) %}
  {% if column.is_float() %}
    {{ return(column.quoted ~ " in (cast('NaN' as double), cast('inf' as double), cast('-inf' as double))") }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}

{# one row a signal, updated first thing in the block: a second capture waits on it. A row too many, made by a race, locks just as well. #}
{% macro snowflake__signal_tables_complete() %}
  {% do run_query('create table if not exists ' ~ signal_relation('signal_locks') ~ ' (signal varchar not null, invocation_id varchar)') %}
{% endmacro %}

{% macro snowflake__signal_lock(name) %}
  {% set locks = signal_relation('signal_locks') %}
  {% do run_query('insert into ' ~ locks ~ ' (signal) select ' ~ signal_literal(name) ~ ' where not exists (select 1 from ' ~ locks ~ ' where signal = ' ~ signal_literal(name) ~ ')') %}
{% endmacro %}

{# in autocommit every statement of an on-run hook counts by itself; none of them needs another #}
{% macro snowflake__signal_hook_begin() %}{% endmacro %}
{% macro snowflake__signal_hook_commit() %}{% endmacro %}

{% macro snowflake__signal_write(capture) %}
  {% do run_query('execute immediate $$\n' ~ signal_snowflake_block(capture) ~ '\n$$') %}
  {% if capture.difference %}{% do run_query('drop table if exists ' ~ capture.scratch) %}{% endif %}
{% endmacro %}

{#
  The scratch table is made before the transaction begins, because a create commits. The number of the last build, read before the
  block, must still hold once the lock is taken. On any error nothing stays open: dbt may use the session again.
#}
{% macro signal_snowflake_block(capture) %}
  {% set signal = signal_literal(capture.signal) %}
  declare
    overtaken exception (-20001, 'another process captured this signal first; nothing was captured, build it again');
    repeated exception (-20002, 'signal_events already holds events of this build, so signal_state is behind it; nothing was captured, restore both from one backup');
    last_build_no integer;
    repeated_events integer;
  begin
    {% if capture.difference %}
    create or replace temporary table {{ capture.scratch }} as {{ capture.difference }} limit 0;
    {% endif %}
    begin transaction;
    update {{ signal_relation('signal_locks') }} set invocation_id = {{ signal_literal(invocation_id) }} where signal = {{ signal }};
    select coalesce(max(build_no), 0) into :last_build_no from {{ signal_relation('signal_builds') }} where signal = {{ signal }};
    if (last_build_no <> {{ capture.build_no - 1 }}) then
      raise overtaken;
    end if;
    {% if capture.difference %}
    insert into {{ capture.scratch }} {{ capture.difference }};
    select count(*) into :repeated_events from {{ signal_relation('signal_events') }}
      where event_id in (select event_id from {{ capture.scratch }});
    if (repeated_events > 0) then
      raise repeated;
    end if;
    {{ capture.events }};
    {{ capture.state }};
    {% endif %}
    {{ capture.build }};
    commit;
  exception
    when other then
      rollback;
      raise;
  end;
{% endmacro %}
