{#
  Takes old builds and their events out of the capture tables; signal_state stays whole, so that episodes go on as they were.

      dbt run-operation signal_capture_prune --args '{through: {customer_churn_risk: 120}}'

  `through` names for each signal the last build that goes. `loopctl prune` gives the numbers: builds that the ledger has taken in.
  What stays whatever is asked: the newest captured build of a signal (the next one is numbered after it and judges its sources by
  it) and whatever is not released yet. Counts of what went are kept in signal_pruned.
#}
{% macro signal_capture_prune(through) %}
  {% do signal_hook_begin() %}
  {% do run_query(signal_pruned_ddl()) %}
  {% for signal, last_no in through.items() %}
    {% do signal_capture_prune_one(signal, last_no | int) %}
  {% endfor %}
  {% do signal_hook_commit() %}
{% endmacro %}

{% macro signal_pruned_ddl() %}
  create table if not exists {{ signal_relation('signal_pruned') }} (
    signal {{ dbt.type_string() }} not null,
    through_build_no bigint not null,
    builds bigint not null,
    events bigint not null,
    pruned_at {{ signal_moment_type() }} not null
  )
{% endmacro %}

{#
  The build rows go last: without a transaction (Snowflake) a pass that dies in between leaves builds whose events are gone, and the next
  pass takes the rest. No ledger reads them: it has taken all of these builds in.
#}
{% macro signal_capture_prune_one(signal, last_no) %}
  {% set builds, events = signal_relation('signal_builds'), signal_relation('signal_events') %}
  {% set named = "signal = " ~ signal_literal(signal) %}
  {% set newest = run_query("select coalesce(max(build_no), 0) from " ~ builds ~ " where " ~ named).rows[0][0] | int %}
  {% set unreleased = run_query("select coalesce(min(build_no), " ~ (newest + 1) ~ ") from " ~ builds ~ " where " ~ named
    ~ " and status = 'captured' and released_at is null").rows[0][0] | int %}
  {% set last = [last_no, newest - 1, unreleased - 1] | min %}
  {% do signal_lock(signal) %}
  {% set captured = named ~ " and build_no <= " ~ last %}
  {# builds that captured nothing have no number; they go with those that they stand between #}
  {% set newest_gone = "(select max(captured_at) from " ~ builds ~ " where " ~ captured ~ ")" %}
  {% set old = named ~ " and (build_no <= " ~ last ~ " or (build_no is null and captured_at <= " ~ newest_gone ~ "))" %}
  {% set build_ids = "select build_id from " ~ builds ~ " where " ~ old %}
  {% set counts = run_query("select (select count(*) from " ~ builds ~ " where " ~ old ~ "), (select count(*) from " ~ events
    ~ " where build_id in (" ~ build_ids ~ "))").rows[0] %}
  {% if counts[0] | int > 0 %}
    {% do run_query("delete from " ~ events ~ " where build_id in (" ~ build_ids ~ ")") %}
    {% do run_query("insert into " ~ signal_relation('signal_pruned') ~ " select " ~ signal_literal(signal) ~ ", " ~ last ~ ", "
      ~ counts[0] ~ ", " ~ counts[1] ~ ", " ~ signal_moment(signal_clock())) %}
    {% do run_query("delete from " ~ builds ~ " where " ~ old) %}
  {% endif %}
  {% do log('signal_capture_prune: ' ~ signal ~ ', ' ~ counts[0] ~ ' builds and ' ~ counts[1] ~ ' events went, up to build ' ~ last, info=true) %}
{% endmacro %}
