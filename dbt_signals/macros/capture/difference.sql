{#
  The difference between the signal's table and signal_state as one query: a row for each entity that takes a step, with the
  state that follows and, where the step is an event, the event's id. Durations and counts of builds arrive as literals, so
  the SQL needs no date arithmetic of any dialect.

  steps that are events: opened, escalated, resolved
  steps that are not:    noticed (waits for open_after), forgotten (left before open_after), missed (waits for resolve_after),
                         returned (came back before resolve_after), changed (the row differs, the episode does not)
#}

{% macro signal_difference(capture) %}
  with {{ signal_flagged_now_ctes(capture) }},
  {{ signal_paired_ctes(capture) }},
  {{ signal_stepped_cte(capture) }},
  {{ signal_followed_cte(capture) }}
  select followed.*, case when step in ('opened', 'escalated', 'resolved') then {{ signal_event_id(capture) }} end as event_id
  from followed
{% endmacro %}

{# the signal's table as it is compared: one row an entity, with the whole row as JSON beside it #}
{% macro signal_flagged_now_ctes(capture) %}
  {% set text, columns = dbt.type_string(), [] %}
  {# observed_at stays out of the JSON: it moves on every build and would make every row look changed; the event has it as a column #}
  {% for column in capture.columns if column.name | lower != 'observed_at' %}{% do columns.append(column) %}{% endfor %}
  compared_columns as (
    select {{ columns | map(attribute='quoted') | join(', ') }} from {{ this }}
  ),
  flagged_now as (
    select
      cast(signal_row_now.entity_id as {{ text }}) as entity_id,
      cast(signal_row_now.severity as {{ text }}) as severity,
      {{ signal_severity_rank('signal_row_now.severity') }} as severity_rank,
      cast(signal_row_now.score as double precision) as score,
      {{ signal_row_json('signal_row_now', columns) }} as row_json
    from compared_columns as signal_row_now
  )
{% endmacro %}

{# everyone who is flagged now or whose episode is not over, with what signal_state says of them #}
{% macro signal_paired_ctes(capture) %}
  known as (
    select * from {{ signal_relation('signal_state') }} where signal = {{ signal_literal(capture.signal) }}
  ),
  paired as (
    select
      coalesce(flagged_now.entity_id, known.entity_id) as entity_id,
      flagged_now.entity_id is not null as is_here,
      flagged_now.severity,
      flagged_now.severity_rank,
      flagged_now.score,
      flagged_now.row_json,
      coalesce(known.status, 'closed') as status,
      coalesce(known.episode, 0) as episode,
      known.last_row,
      known.missing_since_at,
      known.missing_since_build,
      known.peak_rank,
      known.peak_severity,
      case when known.status <> 'closed' then known.first_seen_at end as first_seen_at,
      case when known.status <> 'closed' then known.first_seen_build end as first_seen_build
    from flagged_now
    full outer join known on known.entity_id = flagged_now.entity_id
    where flagged_now.entity_id is not null or known.status <> 'closed'
  )
{% endmacro %}

{# the step that each of them takes, if any; the first condition that holds decides #}
{% macro signal_stepped_cte(capture) %}
  stepped as (
    select
      paired.*,
      case
        when is_here and status <> 'open' and {{ 'true' if capture.is_baseline else signal_has_lasted(capture, capture.open_after, 'first_seen') }} then 'opened'
        when is_here and status = 'closed' then 'noticed'
        when is_here and status = 'open' and severity_rank > peak_rank then 'escalated'
        when is_here and status = 'open' and missing_since_build is not null then 'returned'
        when is_here and status = 'open' and row_json <> last_row then 'changed'
        when not is_here and status = 'noticed' then 'forgotten'
        {% if not capture.is_occurrence %}
        when not is_here and status = 'open' and {{ signal_has_lasted(capture, capture.resolve_after, 'missing_since') }} then 'resolved'
        when not is_here and status = 'open' and missing_since_build is null then 'missed'
        {% endif %}
      end as step
    from paired
  )
{% endmacro %}

{# the state that follows from the step #}
{% macro signal_followed_cte(capture) %}
  {% set as_of = signal_moment(capture.data_as_of) %}
  followed as (
    select
      entity_id,
      step,
      case when step in ('resolved', 'forgotten') then 'closed' when step = 'noticed' then 'noticed' else 'open' end as status,
      cast(case when step = 'opened' then episode + 1 else episode end as bigint) as episode,
      case when step = 'resolved' then peak_severity else severity end as severity,
      score,
      case when is_here then row_json else last_row end as row_json,
      case when step in ('opened', 'noticed') then coalesce(first_seen_at, {{ as_of }}) else first_seen_at end as first_seen_at,
      cast(case when step in ('opened', 'noticed') then coalesce(first_seen_build, {{ capture.build_no }}) else first_seen_build end as bigint) as first_seen_build,
      cast(case when step = 'missed' then {{ as_of }} end as {{ signal_moment_type() }}) as missing_since_at,
      cast(case when step = 'missed' then {{ capture.build_no }} end as bigint) as missing_since_build,
      case when step in ('opened', 'escalated') then severity_rank else peak_rank end as peak_rank,
      case when step in ('opened', 'escalated') then severity else peak_severity end as peak_severity
    from stepped
    where step is not null
  )
{% endmacro %}

{% macro signal_severity_rank(severity) -%}
  case {{ severity }} when 'low' then 1 when 'medium' then 2 when 'high' then 3 when 'critical' then 4 end
{%- endmacro %}

{% macro signal_moment(text) %}{{ return('cast(' ~ signal_literal(text) ~ ' as ' ~ signal_moment_type() ~ ')') }}{% endmacro %}

{# true when what began at `since` (this build, if it has not begun yet) lasts for so many builds, this one counted, and for so long in data time #}
{% macro signal_has_lasted(capture, patience, since) -%}
  {%- set as_of = modules.datetime.datetime.strptime(capture.data_as_of, '%Y-%m-%d %H:%M:%S.%f') -%}
  {{ capture.build_no }} - coalesce({{ since }}_build, {{ capture.build_no }}) + 1 >= {{ patience.builds }}
  and coalesce({{ since }}_at, {{ signal_moment(capture.data_as_of) }}) <= {{ signal_moment(as_of - patience.time) }}
{%- endmacro %}

{# md5 of incarnation|signal|entity|episode|kind|severity if escalated: what happened, whoever computes it #}
{% macro signal_event_id(capture) %}
  {% set prefix = signal_literal(capture.incarnation ~ '|' ~ capture.signal ~ '|') %}
  {% set severity = "case when step = 'escalated' then severity else '' end" %}
  {{ return(dbt.hash(dbt.concat([prefix, 'entity_id', "'|'", 'cast(episode as ' ~ dbt.type_string() ~ ')', "'|'", 'step', "'|'", severity]))) }}
{% endmacro %}
