{# The statements that make a capture: events, then state, then the build, whose row says that everything before it is there. signal_write() runs them. #}

{% macro signal_events_statement(capture) %}
  insert into {{ signal_relation('signal_events') }}
    (event_id, build_id, signal, entity_id, episode, kind, severity, score, observed_at, emitted_at, is_baseline, row_json)
  select
    happened.event_id, {{ signal_literal(capture.build_id) }}, {{ signal_literal(capture.signal) }}, happened.entity_id, happened.episode, happened.step,
    happened.severity, happened.score,
    {# a row that has left was last observed to be gone when the data was taken #}
    coalesce({{ signal_utc('flagged.observed_at') }}, {{ signal_moment(capture.data_as_of) }}),
    {{ signal_moment(capture.clock) }}, {{ capture.is_baseline | lower }}, happened.row_json
  from {{ capture.scratch }} as happened
  left join {{ this }} as flagged on flagged.entity_id = happened.entity_id
  where happened.event_id is not null
{% endmacro %}

{# MERGE is understood by DuckDB from 1.4, PostgreSQL from 15, Snowflake, BigQuery, Redshift and Databricks #}
{% macro signal_state_statement(capture) %}
  {% set kept = ['status', 'episode', 'first_seen_at', 'first_seen_build', 'missing_since_at', 'missing_since_build', 'peak_rank', 'peak_severity'] %}
  merge into {{ signal_relation('signal_state') }} as known
  using {{ capture.scratch }} as followed
  on known.signal = {{ signal_literal(capture.signal) }} and known.entity_id = followed.entity_id
  when matched then update set
    {% for column in kept %}{{ column }} = followed.{{ column }}, {% endfor %}last_row = followed.row_json
  when not matched then insert (signal, entity_id, {{ kept | join(', ') }}, last_row)
    values ({{ signal_literal(capture.signal) }}, followed.entity_id, {% for column in kept %}followed.{{ column }}, {% endfor %}followed.row_json)
{% endmacro %}

{% macro signal_build_statement(capture) %}
  {% set is_captured = capture.status == 'captured' %}
  insert into {{ signal_relation('signal_builds') }}
    (build_id, signal, build_no, status, is_baseline, invocation_id, code_version, criteria_version, data_as_of, sources,
     population, flagged, opened, escalated, resolved, captured_at, held_reason)
  select
    {{ signal_literal(capture.build_id) }}, {{ signal_literal(capture.signal) }}, {{ capture.build_no if is_captured else 'null' }},
    {{ signal_literal(capture.status) }}, {{ (capture.is_baseline and is_captured) | lower }}, {{ signal_literal(invocation_id) }},
    {{ signal_literal(capture.code_version) }}, {{ signal_literal(capture.criteria_version) }}, {{ signal_moment(capture.data_as_of) }},
    {{ signal_literal(tojson(capture.sources, sort_keys=true)) }}, {{ capture.population if capture.population is not none else 'null' }}, {{ capture.flagged }},
    {% for kind in ('opened', 'escalated', 'resolved') %}
    {{ "coalesce(sum(case when step = '" ~ kind ~ "' then 1 else 0 end), 0)" if is_captured else 0 }},
    {% endfor %}
    {{ signal_moment(capture.clock) }}, {{ signal_literal(capture.reason) if capture.reason else 'null' }}
  {% if is_captured %}from {{ capture.scratch }}{% endif %}
{% endmacro %}

{# stands in for a key: an event can be there already only if signal_state was lost or set back #}
{% macro signal_refuse_repeated_events(capture) %}
  {% set query %}
    select entity_id from {{ capture.scratch }}
    where event_id in (select event_id from {{ signal_relation('signal_events') }} where signal = {{ signal_literal(capture.signal) }})
    order by entity_id
  {% endset %}
  {% set repeated = run_query(query).rows %}
  {% if repeated | length %}
    {% do signal_refuse(capture.signal, "signal_events already holds " ~ repeated | length ~ " of this build's events (" ~ signal_examples(query ~ ' limit 3') ~ "), so signal_state is behind it",
      "Restore signal_state, signal_events and signal_builds together, from one backup") %}
  {% endif %}
{% endmacro %}
