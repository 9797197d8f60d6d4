{# What a signal's `config: meta: signal:` means to the capture. The catalog checks every key; here only those that the SQL is made from. #}

{% macro signal_refuse(signal, what, remedy) %}
  {{ exceptions.raise_compiler_error("signal " ~ signal ~ " refused, nothing was captured: " ~ what ~ ". " ~ remedy) }}
{% endmacro %}

{% macro signal_settings(node) %}
  {% set declared = node.config.meta.get('signal') %}
  {% if declared is not mapping %}
    {% do signal_refuse(node.name, "its .yml has no `config: meta: signal:` with settings in it, and every model in the signals folder is a signal",
      "Describe the signal there, or move the model to another folder") %}
  {% endif %}
  {% if node.config.materialized != 'table' %}
    {% do signal_refuse(node.name, "it is materialized as " ~ node.config.materialized ~ ", and a signal is a table",
      "Take `materialized` out of the model; the signals folder sets it") %}
  {% endif %}
  {% set lifecycle = declared.get('lifecycle', 'state') %}
  {% if lifecycle not in ('state', 'occurrence') %}
    {% do signal_refuse(node.name, "lifecycle is '" ~ lifecycle ~ "'", "Allowed are state and occurrence") %}
  {% endif %}
  {{ return({
    'declared': declared,
    'is_occurrence': lifecycle == 'occurrence',
    'open_after': signal_patience(node.name, 'open_after', declared.get('open_after')),
    'resolve_after': signal_patience(node.name, 'resolve_after', declared.get('resolve_after')),
    'population': declared.get('population'),
  }) }}
{% endmacro %}

{# {builds: 2}, {hours: 2} or both, and then both must hold -> the number of builds and the time that it takes #}
{% macro signal_patience(signal, key, declared) %}
  {% set declared = declared if declared is not none else {} %}
  {% if declared is not mapping %}
    {% do signal_refuse(signal, key ~ " is '" ~ declared ~ "'", "Write for example {builds: 2} or {hours: 24}") %}
  {% endif %}
  {% for unit, amount in declared.items() %}
    {% if unit not in ('builds', 'minutes', 'hours', 'days') %}
      {% do signal_refuse(signal, key ~ " has the unit '" ~ unit ~ "'", "Allowed are builds, minutes, hours, days") %}
    {% elif amount is not number or amount is boolean or amount < 0 or (unit == 'builds' and (amount is not integer or amount < 1)) %}
      {% do signal_refuse(signal, key ~ ": " ~ unit ~ " is '" ~ amount ~ "'", "Give a number: whole builds from 1, minutes, hours or days from 0") %}
    {% endif %}
  {% endfor %}
  {{ return({
    'builds': declared.get('builds', 1),
    'time': modules.datetime.timedelta(minutes=declared.get('minutes', 0), hours=declared.get('hours', 0), days=declared.get('days', 0)),
  }) }}
{% endmacro %}
