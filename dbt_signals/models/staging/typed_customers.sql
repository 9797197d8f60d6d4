{# As landed, with types, and the reason why a row cannot be used. #}
with read_values as (
    select
        line_number,
        {{ parse_text('customer_id') }} as customer_id,
        {{ parse_text('customer_name') }} as customer_name,
        {{ parse_text('contract') }} as contract,
        {{ parse_integer('tenure_months') }} as tenure_months,
        {{ parse_text('internet_service') }} as internet_service,
        {{ parse_flag('phone_service') }} as has_phone,
        {{ parse_flag('multiple_lines') }} as has_multiple_lines,
        {{ parse_flag('online_security') }} as has_security,
        {{ parse_flag('online_backup') }} as has_backup,
        {{ parse_flag('device_protection') }} as has_device_protection,
        {{ parse_flag('tech_support') }} as has_support,
        {{ parse_flag('streaming_tv') }} as has_streaming_tv,
        {{ parse_flag('streaming_movies') }} as has_streaming_movies,
        {{ parse_flag('paperless_billing') }} as is_paperless,
        {{ parse_text('payment_method') }} as payment_method,
        {{ parse_number('monthly_charges', 'numeric(18, 2)') }} as monthly_charges,
        {{ parse_text('total_charges') }} as total_charges_text,
        {{ parse_number('total_charges', 'numeric(18, 2)') }} as total_charges,
        {{ parse_number('data_gb_30d', 'numeric(18, 2)') }} as data_gb_30d,
        {{ parse_number('data_gb_prior_30d', 'numeric(18, 2)') }} as data_gb_prior_30d,
        {{ parse_integer('support_calls_30d') }} as support_calls_30d,
        {{ parse_flag('has_left') }} as has_left,
        {{ parse_date('left_on') }} as left_on,
        loaded_at
    from {{ source('landing', 'customers') }}
),

counted as (
    select *, {{ times_seen('customer_id') }} as times_seen
    from read_values
)

select
    line_number,
    customer_id,
    customer_name,
    contract,
    tenure_months,
    internet_service,
    has_phone,
    has_multiple_lines,
    has_security,
    has_backup,
    has_device_protection,
    has_support,
    has_streaming_tv,
    has_streaming_movies,
    is_paperless,
    payment_method,
    monthly_charges,
    total_charges,
    data_gb_30d,
    data_gb_prior_30d,
    support_calls_30d,
    has_left,
    left_on,
    loaded_at,
    case
        when customer_id is null then 'customer_id is empty'
        when times_seen > 1 then 'customer_id was on an earlier line'
        when contract is null or contract not in ('Month-to-month', 'One year', 'Two year') then 'contract is not one of Month-to-month, One year, Two year'
        when tenure_months is null or tenure_months < 0 then 'tenure is not a whole number of months'
        when internet_service is null or internet_service not in ('DSL', 'Fiber optic', 'No') then 'internet service is not one of DSL, Fiber optic, No'
        when monthly_charges is null then 'monthly charges are not an amount'
        when total_charges_text is not null and total_charges is null then 'total charges are neither empty nor an amount'
        when has_left is null then 'whether the customer left is neither Yes nor No'
    end as rejection_reason
from counted
