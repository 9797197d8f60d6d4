{#- The shop floor. Each product runs low once in 40 days, five of two hundred every day; for two to five days it goes
    further down, then a delivery fills the shelf. Every fifth of the products is dear, so that each day's orders go to
    about three suppliers and differ in size. -#}
{% from 'dialect.sql' import draw, chance, quotient with context %}

{% macro shelf_ctes() %}
numbered as (
    select
        i as number,
        {{ chance('product', 'i') }} as chances,
        (i + {{ seed_shift }}) % 40 as turn,
        {{ quotient('i - 1', 40) }} % 3 as price_class
    from generate_series(1, {{ products }}) as numbers(i)
),

planned as (
    select
        *,
        (turn + {{ day }}) % 40 as cycle_day,
        2 + {{ draw('chances', 0) }} % 4 as days_low,
        40 + {{ draw('chances', 1) }} % 160 as reorder_point,
        4 + {{ draw('chances', 2) }} % 22 as lead_time_days,
        turn % 4 * 3 + price_class + 1 as supplier_number,
        case when price_class = 0 then 6000 + {{ draw('chances', 3) }} % 6000 else 100 + {{ draw('chances', 3) }} % 900 end as price_cents
    from numbered
),

used as (
    select
        *,
        greatest(1, {{ quotient('reorder_point', '3 + ' ~ draw('chances', 4) ~ ' % 8') }}) as daily_demand
    from planned
),

shelf as (
    select
        *,
        {# what a planner sees: the stock that is left when a delivery ordered today could arrive #}
        case
            when cycle_day < days_low then greatest(0, reorder_point + lead_time_days * daily_demand - 1 - daily_demand * cycle_day)
            else reorder_point + lead_time_days * daily_demand + daily_demand * (40 - cycle_day)
        end as quantity
    from used
)
{%- endmacro %}
