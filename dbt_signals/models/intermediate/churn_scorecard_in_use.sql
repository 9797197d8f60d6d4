{# The scorecard's version in use: the newest, or the one that the variable churn_scorecard_version names. #}
select
    scorecard.version,
    scorecard.feature,
    cast(scorecard.coefficient as double precision) as coefficient,
    cast(scorecard.training_mean as double precision) as training_mean,
    words.words_when_above,
    words.words_when_below
from {{ ref('churn_scorecard') }} as scorecard
left join {{ ref('churn_feature_words') }} as words
    on scorecard.feature = words.feature
where scorecard.version = {% if var('churn_scorecard_version') != 'newest' -%}
    {{ var('churn_scorecard_version') }}
{%- else -%}
    (select max(version) from {{ ref('churn_scorecard') }})
{%- endif %}
