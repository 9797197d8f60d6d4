{# What a table must hold before anything of it is captured. dbt tests and contracts come too late for that: events are committed before tests run. #}

{# refuses the table, or gives back its number of rows #}
{% macro signal_checked_row_count(signal, columns) %}
  {% do signal_check_columns(signal, columns) %}
  {% set checks = signal_row_checks(columns) %}
  {% set counts = signal_row_check_counts(checks) %}
  {% set defects = [] %}
  {% if counts.duplicates %}
    {% do defects.append(counts.duplicates ~ " row(s) repeat an entity_id (" ~ signal_examples(signal_duplicates_query()) ~ ")") %}
  {% endif %}
  {% for check in checks if counts[check.name] %}
    {% do defects.append(counts[check.name] ~ " row(s) " ~ check.defect ~ " (" ~ signal_examples(signal_defect_query(check)) ~ ")") %}
  {% endfor %}
  {% if defects %}
    {% do signal_refuse(signal, defects | join('; '), "Correct the model or its data and build it again: the next build captures what this one missed") %}
  {% endif %}
  {{ return(counts.flagged) }}
{% endmacro %}

{% macro signal_check_columns(signal, columns) %}
  {% set types = {} %}
  {% for column in columns %}{% do types.update({column.name | lower: column}) %}{% endfor %}
  {% set missing = ['entity_id', 'severity', 'score', 'reason', 'observed_at'] | reject('in', types) | list %}
  {% if missing %}
    {% do signal_refuse(signal, "it has no column " ~ missing | join(', '), "Every signal has entity_id, severity, score, reason and observed_at") %}
  {% endif %}
  {# a number as text differs between warehouses, and with it the event ids #}
  {% if not types.entity_id.is_string() %}
    {% do signal_refuse(signal, "entity_id is " ~ types.entity_id.dtype ~ ", and ids are text", "Cast it to text in the model") %}
  {% endif %}
  {% if types.score.is_string() %}
    {% do signal_refuse(signal, "score is " ~ types.score.dtype, "Cast it to a number in the model") %}
  {% endif %}
  {% if 'timestamp' not in types.observed_at.dtype | lower %}
    {% do signal_refuse(signal, "observed_at is " ~ types.observed_at.dtype, "Cast it to a timestamp; one without a zone is taken as UTC") %}
  {% endif %}
{% endmacro %}

{# each: the condition of a bad row, what is wrong with it, and what to show of it; never the whole row, which may hold personal data #}
{% macro signal_row_checks(columns) %}
  {% set text = dbt.type_string() %}
  {% set checks = [
    {'name': 'no_id', 'where': "entity_id is null or trim(entity_id) = ''", 'defect': 'without entity_id',
     'show': "'severity ' || coalesce(cast(severity as " ~ text ~ "), 'null') || ', observed_at ' || coalesce(cast(observed_at as " ~ text ~ "), 'null')"},
    {'name': 'bad_severity', 'where': "severity is null or severity not in ('low', 'medium', 'high', 'critical')", 'defect': 'with a severity other than low, medium, high, critical',
     'show': "coalesce(entity_id, '(no id)') || ' has ' || coalesce(cast(severity as " ~ text ~ "), 'null')"},
    {'name': 'no_observed_at', 'where': signal_utc('observed_at') ~ ' is null', 'defect': 'without an observed_at that is a moment',
     'show': "coalesce(entity_id, '(no id)')"},
  ] %}
  {% for column in columns %}
    {% set not_finite = signal_not_finite(column) %}
    {% if not_finite %}
      {% do checks.append({'name': 'not_finite_' ~ loop.index, 'where': not_finite, 'defect': 'with NaN or infinity in ' ~ column.name, 'show': "coalesce(entity_id, '(no id)')"}) %}
    {% endif %}
  {% endfor %}
  {{ return(checks) }}
{% endmacro %}

{% macro signal_row_check_counts(checks) %}
  {% set query %}
    select
      count(*),
      count(entity_id) - count(distinct entity_id)
      {% for check in checks %}, coalesce(sum(case when {{ check.where }} then 1 else 0 end), 0){% endfor %}
    from {{ this }}
  {% endset %}
  {% set row = run_query(query).rows[0] %}
  {% set counts = {'flagged': row[0] | int, 'duplicates': row[1] | int} %}
  {% for check in checks %}{% do counts.update({check.name: row[loop.index + 1] | int}) %}{% endfor %}
  {{ return(counts) }}
{% endmacro %}

{% macro signal_duplicates_query() %}
  select entity_id from {{ this }} where entity_id is not null group by entity_id having count(*) > 1 order by entity_id limit 3
{% endmacro %}

{% macro signal_defect_query(check) %}
  select {{ check.show }} as example from {{ this }} where {{ check.where }} order by 1 limit 3
{% endmacro %}

{% macro signal_examples(query) %}
  {% set shown = [] %}
  {% for row in run_query(query).rows %}{% do shown.append(tojson(row[0] | string)) %}{% endfor %}
  {{ return('for example ' ~ shown | join(', ')) }}
{% endmacro %}
