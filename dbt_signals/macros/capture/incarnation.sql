{#
  The identity of one warehouse's history. It is part of every event id, and a ledger is bound to it. A clone of the warehouse
  (a copied file, a restored dump, a zero-copy clone) carries the id of its origin, and a ledger would take its events for the
  origin's. Renew the clone's, never the origin's:

      dbt run-operation signal_incarnation_renew --args '{instead_of: <the id it has now>}'

  Without the argument nothing changes and the id is shown; naming it keeps the command off the wrong target.
#}
{% macro signal_incarnation_renew(instead_of=none) %}
  {% set incarnation = signal_relation('signal_incarnation') %}
  {% set where = target.name ~ ' (' ~ incarnation ~ ')' %}
  {% set current = run_query('select incarnation_id from ' ~ incarnation).rows[0][0] %}
  {% if instead_of != current %}
    {{ exceptions.raise_compiler_error(
      "signal_incarnation_renew: nothing was changed. The incarnation of " ~ where ~ " is " ~ current
      ~ (", not " ~ instead_of if instead_of else "") ~ ". If this target is the clone whose identity is to be renewed, run: "
      ~ "dbt run-operation signal_incarnation_renew --args '{instead_of: " ~ current ~ "}'") }}
  {% endif %}
  {% do signal_hook_begin() %}
  {% do run_query("update " ~ incarnation ~ " set incarnation_id = " ~ signal_literal(invocation_id) ~ " where incarnation_id = " ~ signal_literal(current)) %}
  {% do signal_hook_commit() %}
  {% do log("signal_incarnation_renew: " ~ where ~ " was " ~ current ~ " and is now " ~ invocation_id
    ~ ". A ledger bound to the old identity refuses this warehouse from now on; bind a new one.", info=true) %}
{% endmacro %}
