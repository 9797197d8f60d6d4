{# What the scorecard is fitted on and what it scores: the same columns for both, from facts of contract, services and
   use; no trait of the person is among them. #}
select
    customer_id,
    has_left,
    {{ one_if("contract = 'Month-to-month'") }} as is_month_to_month,
    {{ one_if("contract = 'Two year'") }} as is_two_year,
    {{ rounded_float('ln(1.0 + tenure_months)') }} as log_tenure,
    {{ one_if("internet_service <> 'No'") }} as has_internet,
    {{ one_if("internet_service = 'Fiber optic'") }} as has_fibre,
    {{ one_if("internet_service <> 'No' and not coalesce(has_security, false)") }} as lacks_security,
    {{ one_if("internet_service <> 'No' and not coalesce(has_support, false)") }} as lacks_support,
    {{ one_if('has_streaming_tv') }} + {{ one_if('has_streaming_movies') }} as streaming_services,
    {{ one_if("has_phone") }} as has_phone,
    {{ one_if("has_multiple_lines") }} as has_multiple_lines,
    {{ one_if("payment_method = 'Electronic check'") }} as pays_by_electronic_check,
    {{ one_if("is_paperless") }} as is_paperless,
    {# the share by which use fell against the thirty days before; unknown use has not fallen #}
    coalesce(
        case
            when data_gb_prior_30d > 0 and data_gb_30d < data_gb_prior_30d
                then {{ rounded_float('1 - greatest(data_gb_30d, 0) / data_gb_prior_30d') }}
        end,
        0.0
    ) as usage_drop
from {{ ref('stg_customers') }}
