{#
  The post-hook of the signals folder: what one build of a signal found, put on record in the build's own transaction.
  Check the settings and the rows, judge the sources, take the difference, write it.
#}

{% macro signal_capture() %}
  {% if signal_is_run_on_all_data(['run', 'build', 'retry']) %}
    {% set settings = signal_settings(model) %}
    {% set columns = adapter.get_columns_in_relation(this) %}
    {% set flagged = signal_checked_row_count(model.name, columns) %}
    {% do signal_lock(model.name) %}
    {% set capture = signal_capture_plan(settings, columns, flagged) %}
    {% if capture.status == 'captured' %}
      {% do signal_statistics(this) %}
      {% do capture.update({
        'difference': signal_difference(capture), 'events': signal_events_statement(capture), 'state': signal_state_statement(capture),
      }) %}
    {% else %}
      {% do log('signal ' ~ model.name ~ ': nothing captured, ' ~ capture.reason, info=true) %}
    {% endif %}
    {% do capture.update({'build': signal_build_statement(capture)}) %}
    {% do signal_write(capture) %}
  {% endif %}
{% endmacro %}

{#
  Is this one of these commands, on all of the data? Under --empty and --sample a table says nothing about who is flagged.
  `flags` in Jinja never holds SAMPLE, so the invocation's own arguments are asked for it.
#}
{% macro signal_is_run_on_all_data(commands) %}
  {{ return(execute and flags.WHICH in commands and not flags.EMPTY and not invocation_args_dict.get('sample')) }}
{% endmacro %}

{# everything that the statements are made from, read after the lock is taken so that no other capture of this signal comes between #}
{% macro signal_capture_plan(settings, columns, flagged) %}
  {% set clock = signal_clock() %}
  {% set incarnation = run_query('select incarnation_id from ' ~ signal_relation('signal_incarnation')).rows[0][0] %}
  {% set last = signal_last_capture(model.name) %}
  {% set upstream = signal_upstream(model) %}
  {% set verdict = signal_sources_verdict(model, settings, upstream, last.sources, clock) %}
  {% set plan = {
    'signal': model.name,
    'incarnation': incarnation,
    'build_id': local_md5(incarnation ~ '|' ~ model.name ~ '|' ~ invocation_id),
    'build_no': last.build_no + 1,
    'is_baseline': last.build_no == 0,
    'code_version': signal_code_version(model, upstream),
    'criteria_version': signal_criteria_version(model, upstream),
    'clock': clock,
    'columns': columns,
    'flagged': flagged,
    'scratch': signal_scratch_name(model.name),
    'is_occurrence': settings.is_occurrence,
    'open_after': settings.open_after,
    'resolve_after': settings.resolve_after,
  } %}
  {% do plan.update(verdict) %}
  {{ return(plan) }}
{% endmacro %}

{# hashed, because PostgreSQL cuts a name at 63 characters, and two long names may differ only after that #}
{% macro signal_scratch_name(signal) %}{{ return('signal_difference_' ~ local_md5(signal)[:16]) }}{% endmacro %}

{# the number of the last captured build and what it saw of its sources; 0 and nothing before the first #}
{% macro signal_last_capture(signal) %}
  {% set query %}
    select build_no, sources from {{ signal_relation('signal_builds') }}
    where signal = {{ signal_literal(signal) }} and status = 'captured'
    order by build_no desc
    limit 1
  {% endset %}
  {% for row in run_query(query).rows %}
    {{ return({'build_no': row[0] | int, 'sources': fromjson(row[1])}) }}
  {% endfor %}
  {{ return({'build_no': 0, 'sources': {}}) }}
{% endmacro %}
