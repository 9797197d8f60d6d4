{# Who is a customer now: the population of the churn signal. #}
select
    customer_id,
    coalesce(customer_name, 'Customer ' || customer_id) as customer_name,
    contract,
    tenure_months,
    internet_service,
    payment_method,
    monthly_charges,
    total_charges,
    data_gb_30d,
    data_gb_prior_30d,
    support_calls_30d,
    loaded_at
from {{ ref('stg_customers') }}
where not has_left
