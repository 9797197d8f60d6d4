{#
  What differs between warehouses, named by purpose. Each part has a default in warehouses/default.sql and, where a warehouse
  needs another answer, an override in its own file there. Nothing else in this folder asks which warehouse it runs on.
#}

{# the type of a moment: always UTC, always without a zone #}
{% macro signal_moment_type() %}{{ return(adapter.dispatch('signal_moment_type')()) }}{% endmacro %}

{# a value of any timestamp type as a moment: a zone is converted to UTC, a value without one is taken as UTC whatever the session says #}
{% macro signal_utc(value) %}{{ return(adapter.dispatch('signal_utc')(value)) }}{% endmacro %}

{# a moment as text of fixed width, so that the order of the text is the order of time and Jinja can compare it #}
{% macro signal_moment_text(moment) %}{{ return(adapter.dispatch('signal_moment_text')(moment)) }}{% endmacro %}

{# now, in UTC: the statement's time, not the transaction's, which began before a long model was built #}
{% macro signal_clock() %}{{ return(adapter.dispatch('signal_clock')()) }}{% endmacro %}

{# a Python string as a literal that keeps quotes, newlines and backslashes as they are #}
{% macro signal_literal(value) %}{{ return(adapter.dispatch('signal_literal')(value)) }}{% endmacro %}

{# the row behind a table alias as JSON text; equal rows give equal text, which is how a change is seen #}
{% macro signal_row_json(alias, columns) %}{{ return(adapter.dispatch('signal_row_json')(alias, columns)) }}{% endmacro %}

{# a condition that is true where a column holds NaN or an infinity; none for a column that cannot #}
{% macro signal_not_finite(column) %}{{ return(adapter.dispatch('signal_not_finite')(column)) }}{% endmacro %}

{# do primary keys stop a second row here, or does the capture have to look for one itself? #}
{% macro signal_keys_enforced() %}{{ return(adapter.dispatch('signal_keys_enforced')()) }}{% endmacro %}

{# whatever the tables need besides themselves: unique indexes, lock rows #}
{% macro signal_tables_complete() %}{{ return(adapter.dispatch('signal_tables_complete')()) }}{% endmacro %}

{# one process at a time makes the tables, where two that make the same one would fail #}
{% macro signal_tables_lock() %}{{ return(adapter.dispatch('signal_tables_lock')()) }}{% endmacro %}

{# one capture of a signal at a time, until the transaction ends #}
{% macro signal_lock(name) %}{{ return(adapter.dispatch('signal_lock')(name)) }}{% endmacro %}

{# help for the planner with a table that this transaction has just made #}
{% macro signal_statistics(relation) %}{{ return(adapter.dispatch('signal_statistics')(relation)) }}{% endmacro %}

{# opens and closes the transaction of an on-run hook, which dbt runs outside of one #}
{% macro signal_hook_begin() %}{{ return(adapter.dispatch('signal_hook_begin')()) }}{% endmacro %}
{% macro signal_hook_commit() %}{{ return(adapter.dispatch('signal_hook_commit')()) }}{% endmacro %}

{# runs the statements of one capture so that all of them count or none; see writing.sql for what `capture` holds #}
{% macro signal_write(capture) %}{{ return(adapter.dispatch('signal_write')(capture)) }}{% endmacro %}
