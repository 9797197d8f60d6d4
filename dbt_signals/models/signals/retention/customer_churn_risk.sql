with top_drivers as (
    select
        customer_id,
        max(case when driver_rank = 1 then words end) as driver_1,
        max(case when driver_rank = 2 then words end) as driver_2,
        max(case when driver_rank = 3 then words end) as driver_3
    from {{ ref('customer_churn_drivers') }}
    where driver_rank <= 3
    group by customer_id
),

flagged as (
    select
        customers.*,
        scores.score,
        scores.model_version,
        top_drivers.driver_1,
        top_drivers.driver_2,
        top_drivers.driver_3
    from {{ ref('active_customers') }} as customers
    inner join {{ ref('customer_churn_scores') }} as scores
        on customers.customer_id = scores.customer_id
    left join top_drivers
        on customers.customer_id = top_drivers.customer_id
    where scores.score >= {{ var('churn_threshold') }}
),

explained as (
    select
        *,
        coalesce(driver_1 || coalesce(', ' || driver_2, '') || coalesce(', ' || driver_3, ''), 'no single driver stands out') as drivers
    from flagged
)

select
    customer_id as entity_id,
    case
        when score >= {{ var('churn_critical') }} then 'critical'
        when score >= {{ var('churn_high') }} then 'high'
        else 'medium'
    end as severity,
    score,
    'Likely to leave (' || {{ whole_percent('score') }} || ' %): ' || drivers as reason,
    {{ utc_moment('loaded_at') }} as observed_at,
    customer_name,
    contract,
    tenure_months,
    internet_service,
    payment_method,
    monthly_charges,
    data_gb_30d,
    data_gb_prior_30d,
    support_calls_30d,
    driver_1,
    driver_2,
    driver_3,
    model_version
from explained
