{# Numbers that come out equal on every warehouse. #}

{# A float rounded by way of a decimal: exp() differs between warehouses in the last bits, and a row must not look changed for that. #}
{% macro rounded_float(expression, digits=6) -%}
cast(round(cast({{ expression }} as numeric(28, 12)), {{ digits }}) as double precision)
{%- endmacro %}

{# A logistic of a bounded logit: neither overflow nor NaN can come out. #}
{% macro logistic(logit) -%}
1.0 / (1.0 + exp(-greatest(-30.0, least(30.0, {{ logit }}))))
{%- endmacro %}

{% macro whole_percent(share) -%}
cast(cast(round(100 * cast({{ share }} as numeric(28, 12)), 0) as integer) as {{ dbt.type_string() }})
{%- endmacro %}

{% macro as_text(expression) %}cast({{ expression }} as {{ dbt.type_string() }}){% endmacro %}

{# a condition as a number to weigh; unknown counts as no #}
{% macro one_if(condition) -%}
cast(case when {{ condition }} then 1 else 0 end as double precision)
{%- endmacro %}
