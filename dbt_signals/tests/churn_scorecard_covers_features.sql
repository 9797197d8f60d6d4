{# A feature without a coefficient would be left out of every score in silence, and a coefficient without a feature too.
   A build with --empty sees no coefficients and has nothing to say. #}
with scored as (
    {% for feature in ['intercept'] + churn_features() %}
    select '{{ feature }}' as feature
    {{ 'union all' if not loop.last }}
    {% endfor %}
)

select coalesce(scored.feature, scorecard.feature) as feature
from scored
full outer join {{ ref('churn_scorecard_in_use') }} as scorecard
    on scored.feature = scorecard.feature
where (scored.feature is null or scorecard.coefficient is null)
    {% if flags.EMPTY %}and false{% endif %}
