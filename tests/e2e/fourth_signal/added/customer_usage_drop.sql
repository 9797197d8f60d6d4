-- Customers who use less than half of what they used the month before.
select
    customer_id as entity_id,
    case when data_gb_30d < 0.25 * data_gb_prior_30d then 'high' else 'medium' end as severity,
    cast(1 - data_gb_30d / data_gb_prior_30d as double precision) as score,
    'Used ' || {{ as_text('data_gb_30d') }} || ' GB after ' || {{ as_text('data_gb_prior_30d') }} || ' GB. Ask what has changed.' as reason,
    {{ utc_moment('loaded_at') }} as observed_at,
    customer_name,
    data_gb_30d,
    data_gb_prior_30d
from {{ ref('active_customers') }}
where data_gb_prior_30d > 0 and data_gb_30d < 0.5 * data_gb_prior_30d
