{# What a signal is made from: its upstream models, seeds and sources, however far up, and the versions that follow from them. #}

{# {unique_id: node} of everything upstream #}
{% macro signal_upstream(node) %}
  {% set found = {} %}
  {% do signal_upstream_into(node, found) %}
  {{ return(found) }}
{% endmacro %}

{% macro signal_upstream_into(node, found) %}
  {% for id in node.get('depends_on', {}).get('nodes', []) if id not in found %}
    {% set parent = graph.sources.get(id) or graph.nodes.get(id) %}
    {% if parent %}
      {% do found.update({id: parent}) %}
      {% do signal_upstream_into(parent, found) %}
    {% endif %}
  {% endfor %}
{% endmacro %}

{# changes when the SQL of the signal or of anything above it changes, or a seed's rows do: the signal's own file seldom holds all of the logic #}
{% macro signal_code_version(node, upstream) %}
  {% set checksums = [node.unique_id ~ '=' ~ node.checksum.checksum] %}
  {% for id, parent in upstream.items() if parent.get('checksum') %}
    {% do checksums.append(id ~ '=' ~ parent.checksum.checksum) %}
  {% endfor %}
  {{ return(local_md5(checksums | sort | join('\n'))) }}
{% endmacro %}

{# changes when meta.signal does, or the value of a dbt var that the signal or anything above it reads: thresholds are vars #}
{% macro signal_criteria_version(node, upstream) %}
  {% set code = [node.raw_code] %}
  {% for parent in upstream.values() %}{% do code.append(parent.get('raw_code') or '') %}{% endfor %}
  {% set vars = {} %}
  {% for name in modules.re.findall('\\bvar\\(\\s*["\']([^"\']+)["\']', code | join('\n')) %}
    {% do vars.update({name: var(name, none) | string}) %}
  {% endfor %}
  {{ return(local_md5(tojson({'signal': node.config.meta.signal, 'vars': vars}, sort_keys=true))) }}
{% endmacro %}

{# population: a model, seed or snapshot by its name, a source's table by its name or as source.table, anything by its unique_id #}
{% macro signal_population_node(node, name, upstream) %}
  {% set candidates = {} %}
  {% for id, parent in upstream.items() %}
    {% set dotted = parent.source_name ~ '.' ~ parent.name if parent.resource_type == 'source' else parent.name %}
    {% if name in (parent.name, dotted, id) %}{% do candidates.update({id: parent}) %}{% endif %}
  {% endfor %}
  {% if candidates | length > 1 %}
    {% do signal_refuse(node.name, "population '" ~ name ~ "' could be any of " ~ candidates.keys() | sort | join(', '), "Write one of these as meta.signal.population") %}
  {% endif %}
  {% for parent in candidates.values() %}
    {% if not parent.relation_name %}
      {% do signal_refuse(node.name, "population '" ~ name ~ "' is ephemeral, so it has no table to count", "Name a model that is a table or a view") %}
    {% endif %}
    {{ return(parent) }}
  {% endfor %}
  {% do signal_refuse(node.name, "population '" ~ name ~ "' is no model or source that this signal is built from",
    "Correct meta.signal.population; upstream are " ~ (upstream.keys() | sort | join(', ') or 'none')
    ~ ". For another one add `-- depends_on: {{ ref('...') }}` to the model, so that it is built first") %}
{% endmacro %}
