{#- The pipeline: as many deals are opened every day, half of them are won after some days, a third are lost, the rest
    stay open. What was won stays in the table. -#}
{% from 'dialect.sql' import draw, chance, quotient, padded, money, choice, text, date_text, loaded_at with context %}
with opened as (
    select
        i as number,
        {{ quotient('i - 1', deals_per_day) }} - 9 as opened_on_day,
        (i - 1) % {{ deals_per_day }} % 6 as lane,
        {{ chance('deal', 'i') }} as chances
    from generate_series(1, {{ deals_per_day }} * ({{ day }} + 10)) as numbers(i)
),

dated as (
    select
        *,
        opened_on_day + 3 + {{ draw(chance('lane', 'lane'), 0) }} % 5 as closes_on_day
    from opened
),

staged as (
    select
        *,
        case
            when lane = 5 or closes_on_day > {{ day }} then case when {{ day }} - opened_on_day < 2 then 'Prospecting' else 'Engaging' end
            when lane in (0, 2, 4) then 'Won'
            else 'Lost'
        end as stage
    from dated
)

select
    number as line_number,
    'D' || {{ padded('number') }} as opportunity_id,
    case when {{ draw('chances', 0) }} % 100 >= 4 then 'A' || {{ padded('1 + ' ~ draw('chances', 1) ~ ' % ' ~ accounts) }} end as account_id,
    {{ choice(deal_products, draw('chances', 2)) }} as product_name,
    stage,
    {{ choice(owner_names, draw('chances', 3)) }} as owner_name,
    case when stage <> 'Prospecting' then {{ date_text(day ~ ' - opened_on_day') }} end as engaged_on,
    case when stage in ('Won', 'Lost') then {{ date_text(day ~ ' - closes_on_day') }} end as closed_on,
    case stage when 'Won' then {{ money('30000 + ' ~ draw('chances', 4) ~ ' * 17') }} when 'Lost' then '0' end as value,
    'EUR' as currency,
    {{ loaded_at() }} as loaded_at
from staged
