{# The plan in a person's words, and since when: the month that the tenure counts from. #}
select
    customer_id,
    case internet_service
        when 'Fiber optic' then 'Fibre'
        when 'DSL' then 'DSL'
        else 'Phone only'
    end || ', ' || lower(contract) as plan,
    monthly_charges,
    cast({{ dbt.dateadd('month', '-tenure_months', 'loaded_at') }} as date) as since
from {{ ref('stg_customers') }}
