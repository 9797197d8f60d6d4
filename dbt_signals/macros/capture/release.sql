{#
  on-run-end: a captured build is released when every error-severity test on its signal ran in this invocation and passed. It takes
  the captured builds before it along, so that nothing they found is lost. A build whose tests did not all run waits for `dbt test`;
  one whose test failed is held, with the test's name, until a later build passes.
#}

{% macro signal_builds_release(results) %}
  {% if signal_is_run_on_all_data(['run', 'build', 'test', 'retry']) %}
    {% set outcomes = {} %}
    {% for result in results %}{% do outcomes.update({result.node.unique_id: result.status | string}) %}{% endfor %}
    {% set tests, decisions = [], [] %}
    {% for node in graph.nodes.values() if node.resource_type == 'test' and node.config.severity | lower == 'error' %}
      {% do tests.append(node) %}
    {% endfor %}
    {% for node in graph.nodes.values() if node.resource_type == 'model' and node.config.meta.get('signal') is mapping %}
      {% set decision = signal_release_decision(node, tests, outcomes) %}
      {% if decision %}{% do decisions.append(decision) %}{% endif %}
    {% endfor %}
    {% if decisions %}
      {% do signal_hook_begin() %}
      {% for decision in decisions %}{% do signal_release_apply(decision) %}{% endfor %}
      {% do signal_hook_commit() %}
    {% endif %}
  {% endif %}
{% endmacro %}

{# none when this invocation says nothing about the signal; else whether it built it, and why the build must be held, if it must #}
{% macro signal_release_decision(node, tests, outcomes) %}
  {% set is_built = outcomes.get(node.unique_id) == 'success' %}
  {% set failed, not_run, ran = [], [], [] %}
  {% for test in tests if node.unique_id in test.depends_on.nodes %}
    {% set outcome = outcomes.get(test.unique_id) %}
    {% do (ran if outcome in ('pass', 'warn') else failed if outcome in ('fail', 'error') else not_run).append(test.name) %}
  {% endfor %}
  {% if not is_built and (flags.WHICH != 'test' or not (failed or (ran and not not_run))) %}{{ return(none) }}{% endif %}
  {% set reasons = [] %}
  {% if failed %}{% do reasons.append('test failed: ' ~ failed | sort | join(', ')) %}{% endif %}
  {% if not_run %}{% do reasons.append('test not run: ' ~ not_run | sort | join(', ')) %}{% endif %}
  {{ return({'signal': node.name, 'is_built': is_built, 'held_reason': reasons | join('; ')}) }}
{% endmacro %}

{% macro signal_release_apply(decision) %}
  {% set builds = signal_relation('signal_builds') %}
  {% set tested_no = signal_build_no_built_here(decision.signal) if decision.is_built else signal_build_no_before_this_run(decision.signal) %}
  {% if tested_no is not none %}
    {% set waiting = "signal = " ~ signal_literal(decision.signal) ~ " and status = 'captured' and released_at is null" %}
    {% if decision.held_reason and run_query("select 1 from " ~ builds ~ " where " ~ waiting ~ " and build_no = " ~ tested_no).rows %}
      {% do run_query("update " ~ builds ~ " set held_reason = " ~ signal_literal(decision.held_reason) ~ " where " ~ waiting ~ " and build_no = " ~ tested_no) %}
      {% do log('signal ' ~ decision.signal ~ ': build ' ~ tested_no ~ ' is held, ' ~ decision.held_reason, info=true) %}
    {% elif not decision.held_reason %}
      {% do run_query("update " ~ builds ~ " set released_at = " ~ signal_moment(signal_clock()) ~ " where " ~ waiting ~ " and build_no <= " ~ tested_no) %}
    {% endif %}
  {% endif %}
{% endmacro %}

{# none when the build was skipped: then its tests looked at data that was not captured #}
{% macro signal_build_no_built_here(signal) %}
  {{ return(run_query("select max(build_no) from " ~ signal_relation('signal_builds') ~ " where signal = " ~ signal_literal(signal)
    ~ " and invocation_id = " ~ signal_literal(invocation_id)).rows[0][0]) }}
{% endmacro %}

{#
  The build that a `dbt test` looked at: the newest one before the run began, if it was captured; never one that another process
  captured in the meantime. The beginning is reckoned back on the warehouse's clock, which need not agree with this machine's.
#}
{% macro signal_build_no_before_this_run(signal) %}
  {% set warehouse_now = modules.datetime.datetime.strptime(signal_clock(), '%Y-%m-%d %H:%M:%S.%f') %}
  {% set began_at = warehouse_now - (modules.datetime.datetime.now(modules.pytz.utc) - run_started_at) %}
  {% set query %}
    select build_no from {{ signal_relation('signal_builds') }}
    where signal = {{ signal_literal(signal) }} and captured_at < {{ signal_moment(began_at) }}
    order by captured_at desc
    limit 1
  {% endset %}
  {% for row in run_query(query).rows %}{{ return(row[0]) }}{% endfor %}
  {{ return(none) }}
{% endmacro %}
