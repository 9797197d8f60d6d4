{# What a build's sources say: how old they are, whether one went back in time or is empty, and so whether the build may be captured. #}

{# {captured or skipped_*, the reason, as-of per source, the data's as-of, the population's size} #}
{% macro signal_sources_verdict(node, settings, upstream, last_sources, clock) %}
  {% set as_of, empty, stale = {}, [], [] %}
  {% for source in upstream.values() if source.resource_type == 'source' %}
    {% set loaded_at = signal_loaded_at_query(node, source) %}
    {% if loaded_at %}
      {% set name = source.source_name ~ '.' ~ source.name %}
      {% set loaded = run_query(loaded_at).rows[0][0] %}
      {% if loaded is not none %}
        {% do as_of.update({name: loaded}) %}
        {% if loaded < last_sources.get(name, '') %}{% do stale.append(name ~ ' was loaded until ' ~ loaded ~ ', the last captured build saw ' ~ last_sources[name]) %}{% endif %}
      {% elif not signal_source_may_be_empty(source) %}
        {% do empty.append(name) %}
      {% endif %}
    {% endif %}
  {% endfor %}
  {% set population = signal_population_count(node, settings, upstream) %}
  {% if population == 0 %}{% do empty.append('population ' ~ settings.population) %}{% endif %}
  {% if empty %}
    {% set status, reason = 'skipped_empty', 'empty: ' ~ empty | join(', ') %}
  {% elif stale %}
    {% set status, reason = 'skipped_stale', 'stale: ' ~ stale | join('; ') %}
  {% else %}
    {% set status, reason = 'captured', none %}
  {% endif %}
  {# the data is as old as its oldest source; without one that says so, as old as this look at it #}
  {{ return({'status': status, 'reason': reason, 'sources': as_of, 'population': population, 'data_as_of': (as_of.values() | min) if as_of else clock}) }}
{% endmacro %}

{# the newest moment in a source that declares loaded_at_field or loaded_at_query, as text; none for one that declares neither and is not judged #}
{% macro signal_loaded_at_query(node, source) %}
  {% set field = source.get('loaded_at_field') or source.config.get('loaded_at_field') %}
  {% set query = source.get('loaded_at_query') or source.config.get('loaded_at_query') %}
  {% if field %}
    {{ return('select ' ~ signal_moment_text(signal_utc('max(' ~ field ~ ')')) ~ ' from ' ~ source.relation_name) }}
  {% elif query %}
    {% set query = modules.re.sub('\\{\\{\\s*this\\s*\\}\\}', source.relation_name, query) %}
    {% if '{{' in query or '{%' in query %}
      {% do signal_refuse(node.name, "the loaded_at_query of source " ~ source.source_name ~ "." ~ source.name ~ " holds Jinja other than {{ '{{ this }}' }}",
        "Use loaded_at_field, or plain SQL in loaded_at_query") %}
    {% endif %}
    {{ return('select ' ~ signal_moment_text(signal_utc('loaded_at')) ~ ' from (' ~ query ~ ') as newest (loaded_at)') }}
  {% endif %}
  {{ return(none) }}
{% endmacro %}

{# a list of open orders or of people not to be contacted may rightly be empty: `config: meta: may_be_empty: true` on the source's table #}
{% macro signal_source_may_be_empty(source) %}
  {{ return(source.config.get('meta', {}).get('may_be_empty', source.get('meta', {}).get('may_be_empty', false)) is true) }}
{% endmacro %}

{% macro signal_population_count(node, settings, upstream) %}
  {% if not settings.population %}{{ return(none) }}{% endif %}
  {% set counted = signal_population_node(node, settings.population, upstream) %}
  {{ return(run_query('select count(*) from ' ~ counted.relation_name).rows[0][0] | int) }}
{% endmacro %}
