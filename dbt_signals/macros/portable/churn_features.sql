{# The features of the churn scorecard, in one place: the feature model has these columns, the fit reads them, the scoring adds them up. #}
{% macro churn_features() %}
{{ return([
    'is_month_to_month', 'is_two_year', 'log_tenure', 'has_internet', 'has_fibre', 'lacks_security', 'lacks_support',
    'streaming_services', 'has_phone', 'has_multiple_lines', 'pays_by_electronic_check', 'is_paperless', 'usage_drop',
]) }}
{% endmacro %}
