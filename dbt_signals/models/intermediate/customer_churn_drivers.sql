{# What pushes a likely leaver's score up most, against the average customer of the training data, in words. #}
with likely_leavers as (
    select features.*
    from {{ ref('customer_churn_features') }} as features
    inner join {{ ref('customer_churn_scores') }} as scores
        on features.customer_id = scores.customer_id
    where scores.score >= {{ var('churn_threshold') }}
),

feature_values as (
    {% for feature in churn_features() %}
    select customer_id, '{{ feature }}' as feature, {{ feature }} as feature_value from likely_leavers
    {{ 'union all' if not loop.last }}
    {% endfor %}
),

contributions as (
    select
        feature_values.customer_id,
        feature_values.feature,
        {{ rounded_float('scorecard.coefficient * (feature_values.feature_value - scorecard.training_mean)') }} as contribution,
        case
            when feature_values.feature_value > scorecard.training_mean then scorecard.words_when_above
            else scorecard.words_when_below
        end as words
    from feature_values
    inner join {{ ref('churn_scorecard_in_use') }} as scorecard
        on feature_values.feature = scorecard.feature
)

select
    customer_id,
    feature,
    contribution,
    words,
    row_number() over (partition by customer_id order by contribution desc, feature) as driver_rank
from contributions
where contribution > 0 and words is not null
