{#- Everybody who is a customer on the day, with a name; customers, contacts and owners are told from it. -#}
{% from 'dialect.sql' import draw, chance, choice with context %}
{% from 'people.sql' import people_ctes with context %}
with {{ people_ctes(day) }},

named as (
    select
        moods.*,
        {{ chance('name', 'moods.customer_number') }} as name_chances,
        storyline.part
    from moods
    left join storyline on storyline.customer_number = moods.customer_number
),

parts as (
    select
        *,
        {{ choice(first_names, draw('name_chances', 0)) }} as first_name,
        {{ choice(last_names, draw('name_chances', 1)) }} as last_name,
        case
            when part in (2, 3) then part
            when {{ draw('name_chances', 2) }} % 200 = 0 then {{ draw('name_chances', 3) }}
        end as odd_name_number
    from named
)

select
    customer_number,
    customer_id,
    is_restless,
    age_days,
    month_number,
    mood,
    has_left,
    days_since_leaving,
    part,
    first_name,
    last_name,
    case
        when odd_name_number is not null then {{ choice(odd_names, 'odd_name_number') }}
        else first_name || ' ' || last_name
    end as customer_name
from parts
