{#- The customer base as the billing system exports it. -#}
{% from 'dialect.sql' import draw, chance, quotient, money, yes_no, text, date_text, loaded_at with context %}
with chances as (
    select
        *,
        {{ chance('profile', 'customer_number') }} as traits,
        {{ chance('extras', 'customer_number') }} as extras,
        {{ chance('usage', "customer_number || '|' || " ~ day) }} as usage
    from people_today
),

{#- The restless: in a bad spell they pay by hand, drop protection and take streaming; the exact mix depends on tenure. #}
profiles as (
    select
        *,
        case
            when is_restless then 'Month-to-month'
            when {{ draw('traits', 0) }} % 100 < 40 then 'Month-to-month'
            when {{ draw('traits', 0) }} % 100 < 70 then 'One year'
            else 'Two year'
        end as contract,
        case when is_restless then month_number else 6 + {{ draw('traits', 1) }} % 60 + {{ quotient(day, 30) }} end as tenure_months,
        case
            when is_restless or {{ draw('traits', 2) }} % 100 < 40 then 'Fiber optic'
            when {{ draw('traits', 2) }} % 100 < 75 then 'DSL'
            else 'No'
        end as internet_service,
        is_restless or {{ draw('traits', 3) }} % 100 < 90 as has_phone,
        case
            when is_restless then mood = 'furious' or (mood = 'unhappy' and month_number = 2)
            else {{ draw('traits', 4) }} % 100 < 45
        end as has_lines,
        case when is_restless then mood = 'calm' else {{ draw('traits', 5) }} % 100 < 45 end as wants_security,
        case
            when is_restless then mood = 'calm' or (mood = 'unhappy' and month_number = 0)
            else {{ draw('traits', 6) }} % 100 < 45
        end as wants_support,
        {{ draw('traits', 7) }} % 100 < 45 as wants_backup,
        case
            when is_restless then mood = 'furious' or (mood = 'unhappy' and month_number = 1)
            else {{ draw('extras', 0) }} % 100 < 40
        end as wants_tv,
        case when is_restless then mood <> 'calm' else {{ draw('extras', 1) }} % 100 < 40 end as wants_movies,
        case when is_restless then mood <> 'calm' else {{ draw('extras', 2) }} % 100 < 55 end as is_paperless,
        case
            when is_restless and mood = 'calm' then 'Credit card (automatic)'
            when is_restless then 'Electronic check'
            when {{ draw('extras', 3) }} % 100 < 25 then 'Electronic check'
            when {{ draw('extras', 3) }} % 100 < 50 then 'Mailed check'
            when {{ draw('extras', 3) }} % 100 < 75 then 'Bank transfer (automatic)'
            else 'Credit card (automatic)'
        end as payment_method
    from chances
),

services as (
    select
        *,
        has_phone and has_lines as with_lines,
        internet_service <> 'No' and wants_security as with_security,
        internet_service <> 'No' and wants_support as with_support,
        internet_service <> 'No' and wants_backup as with_backup,
        internet_service <> 'No' and wants_tv as with_tv,
        internet_service <> 'No' and wants_movies as with_movies
    from profiles
),

charges as (
    select
        *,
        {{ draw('extras', 4) }} % 200
        + case when has_phone then 1950 else 0 end
        + case when with_lines then 500 else 0 end
        + case internet_service when 'Fiber optic' then 5000 when 'DSL' then 2500 else 0 end
        + case when with_security then 500 else 0 end
        + case when with_support then 500 else 0 end
        + case when with_backup then 500 else 0 end
        + case when with_tv then 1000 else 0 end
        + case when with_movies then 1000 else 0 end as monthly_cents,
        case internet_service
            when 'Fiber optic' then 300 + {{ draw('extras', 5) }} % 400
            when 'DSL' then 60 + {{ draw('extras', 5) }} % 120
            else 0
        end as usual_gb
    from services
)

select
    row_number() over (order by customer_number) as line_number,
    customer_id,
    customer_name,
    contract,
    {{ text('tenure_months') }} as tenure_months,
    internet_service,
    {{ yes_no('has_phone') }} as phone_service,
    {{ yes_no('with_lines') }} as multiple_lines,
    {{ yes_no('with_security') }} as online_security,
    {{ yes_no('with_backup') }} as online_backup,
    {{ yes_no('with_backup') }} as device_protection,
    {{ yes_no('with_support') }} as tech_support,
    {{ yes_no('with_tv') }} as streaming_tv,
    {{ yes_no('with_movies') }} as streaming_movies,
    {{ yes_no('is_paperless') }} as paperless_billing,
    payment_method,
    {{ money('monthly_cents') }} as monthly_charges,
    {{ money('monthly_cents * tenure_months') }} as total_charges,
    {{ text(quotient('usual_gb * (case mood when \'calm\' then 90 when \'unhappy\' then 60 else 35 end + ' ~ draw('usage', 0) ~ ' % 20)', 100)) }} as data_gb_30d,
    {{ text('usual_gb') }} as data_gb_prior_30d,
    {{ text("case mood when 'calm' then 0 when 'unhappy' then 2 else 5 end + " ~ draw('usage', 1) ~ ' % 3') }} as support_calls_30d,
    {{ yes_no('has_left') }} as has_left,
    case when has_left then {{ date_text('days_since_leaving') }} end as left_on,
    {{ loaded_at() }} as loaded_at
from charges
