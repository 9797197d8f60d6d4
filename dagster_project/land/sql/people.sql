{#- Who is a customer on a day, and in which mood. A slot of the company is held by settled customers for good, or by one
    restless customer after another, 90 days each: on new fibre, with a bad spell in each month, the last of which ends
    in leaving. So the share of flagged customers stays the same however far the days run. -#}
{% from 'dialect.sql' import draw, chance, quotient, padded with context %}

{% macro people_ctes(on_day) %}
slots as (
    select i as slot, {{ chance('slot', 'i') }} as chances
    from generate_series(1, {{ customers }}) as numbers(i)
),

lives as (
    select
        slot,
        {{ draw('chances', 0) }} % 100 < 28 as is_restless,
        {{ draw('chances', 1) }} % 90 + {{ on_day }} as days_in_slot,
        {{ draw('chances', 2) }} as settled_chance
    from slots
),

people as (
    select
        case when is_restless then slot + {{ customers }} * {{ quotient('days_in_slot', 90) }} else slot end as customer_number,
        is_restless,
        case when is_restless then days_in_slot % 90 else days_in_slot end as age_days,
        settled_chance
    from lives
),

months as (
    select
        *,
        {{ quotient('age_days', 30) }} as month_number,
        {{ chance('mood', "customer_number || '|' || cast(" ~ quotient('age_days', 30) ~ " as varchar)") }} as mood_chances
    from people
),

spells as (
    select
        *,
        age_days % 30 - (4 + {{ draw('mood_chances', 0) }} % 18) as spell_day,
        2 + {{ draw('mood_chances', 1) }} % 3 as spell_length,
        1 + {{ draw('mood_chances', 2) }} % 2 as worse_from
    from months
),

moods as (
    select
        customer_number,
        'C' || {{ padded('customer_number') }} as customer_id,
        is_restless,
        age_days,
        month_number,
        case
            when not is_restless or spell_day < 0 or spell_day >= spell_length then 'calm'
            when spell_day >= worse_from then 'furious'
            else 'unhappy'
        end as mood,
        is_restless and spell_day = 0 as is_turning,
        case when is_restless then month_number = 2 and spell_day >= spell_length else settled_chance % 100 < 12 end as has_left,
        case when is_restless then spell_day - spell_length else settled_chance % 400 end as days_since_leaving
    from spells
)
{%- endmacro %}
