{# stands in for another process that captures a build between the tests of this run and its release #}
{% macro lab_foreign_build() %}
  {% if execute and var('lab_foreign_build', none) %}
    {% set builds = signal_relation('signal_builds') %}
    {% do signal_hook_begin() %}
    {% do run_query("insert into " ~ builds ~ " (build_id, signal, build_no, status, is_baseline, invocation_id, code_version, criteria_version, data_as_of, sources,
         flagged, opened, escalated, resolved, captured_at)
       select 'foreign-' || build_id, signal, build_no + 1, status, false, 'another process', code_version, criteria_version, data_as_of, sources, 0, 0, 0, 0, "
       ~ signal_moment(signal_clock()) ~ " from " ~ builds ~ " where signal = '" ~ var('lab_foreign_build') ~ "' and status = 'captured' order by build_no desc limit 1") %}
    {% do signal_hook_commit() %}
  {% endif %}
{% endmacro %}
