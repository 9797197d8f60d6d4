{# The four tables of the capture, made by on-run-start in the target's own schema. docs/event_capture.md says what each column means. #}

{% macro signal_relation(name) %}
  {{ return(api.Relation.create(database=target.database, schema=target.schema, identifier=name)) }}
{% endmacro %}

{# `, primary key (...)` where the warehouse enforces it; a key that is not enforced would only look safe #}
{% macro signal_key(columns) %}
  {{ return(', primary key (' ~ columns ~ ')' if signal_keys_enforced() else '') }}
{% endmacro %}

{% macro signal_tables_ensure() %}
  {% if execute and flags.WHICH in ('run', 'build', 'test', 'retry') %}
    {% do adapter.create_schema(api.Relation.create(database=target.database, schema=target.schema)) %}
    {% do signal_hook_begin() %}
    {% do signal_tables_lock() %}
    {% do run_query(signal_incarnation_ddl()) %}
    {% do run_query(signal_builds_ddl()) %}
    {% do run_query(signal_events_ddl()) %}
    {% do run_query(signal_state_ddl()) %}
    {% do signal_tables_complete() %}
    {% do signal_hook_commit() %}
  {% endif %}
{% endmacro %}

{# one statement, so that a second process finds the table with its identity already in it #}
{% macro signal_incarnation_ddl() %}
  create table if not exists {{ signal_relation('signal_incarnation') }} as
  select cast({{ signal_literal(invocation_id) }} as {{ dbt.type_string() }}) as incarnation_id
{% endmacro %}

{% macro signal_builds_ddl() %}
  {% set text, moment = dbt.type_string(), signal_moment_type() %}
  create table if not exists {{ signal_relation('signal_builds') }} (
    build_id {{ text }} not null,
    signal {{ text }} not null,
    build_no bigint,
    status {{ text }} not null,
    is_baseline boolean not null,
    invocation_id {{ text }} not null,
    code_version {{ text }} not null,
    criteria_version {{ text }} not null,
    data_as_of {{ moment }} not null,
    sources {{ text }} not null,
    population bigint,
    flagged bigint not null,
    opened bigint not null,
    escalated bigint not null,
    resolved bigint not null,
    captured_at {{ moment }} not null,
    released_at {{ moment }},
    held_reason {{ text }}
    {{ signal_key('build_id') }}
  )
{% endmacro %}

{% macro signal_events_ddl() %}
  {% set text, moment = dbt.type_string(), signal_moment_type() %}
  create table if not exists {{ signal_relation('signal_events') }} (
    event_id {{ text }} not null,
    build_id {{ text }} not null,
    signal {{ text }} not null,
    entity_id {{ text }} not null,
    episode bigint not null,
    kind {{ text }} not null,
    severity {{ text }} not null,
    score double precision,
    observed_at {{ moment }} not null,
    emitted_at {{ moment }} not null,
    is_baseline boolean not null,
    row_json {{ text }} not null
    {{ signal_key('event_id') }}
  )
{% endmacro %}

{% macro signal_state_ddl() %}
  {% set text, moment = dbt.type_string(), signal_moment_type() %}
  create table if not exists {{ signal_relation('signal_state') }} (
    signal {{ text }} not null,
    entity_id {{ text }} not null,
    status {{ text }} not null,
    episode bigint not null,
    first_seen_at {{ moment }},
    first_seen_build bigint,
    missing_since_at {{ moment }},
    missing_since_build bigint,
    peak_rank integer,
    peak_severity {{ text }},
    last_row {{ text }} not null
    {{ signal_key('signal, entity_id') }}
  )
{% endmacro %}
