{# The probability that an active customer leaves: logistic of the intercept plus coefficient times value. #}
with weights as (
    select
        max(version) as model_version,
        max(case when feature = 'intercept' then coefficient end) as intercept
        {%- for feature in churn_features() %},
        coalesce(max(case when feature = '{{ feature }}' then coefficient end), 0.0) as {{ feature }}
        {%- endfor %}
    from {{ ref('churn_scorecard_in_use') }}
),

logits as (
    select
        features.customer_id,
        weights.model_version,
        weights.intercept
        {%- for feature in churn_features() %}
        + weights.{{ feature }} * features.{{ feature }}
        {%- endfor %} as logit
    from {{ ref('customer_churn_features') }} as features
    cross join weights
    where not features.has_left
)

select
    customer_id,
    cast(model_version as integer) as model_version,
    {{ rounded_float(logistic('logit')) }} as score
from logits
