{#- What is on order: for one in five products somebody orders on the second low day, and a few lines never came. -#}
{% from 'dialect.sql' import padded, text, date_text, loaded_at with context %}
{% from 'shelf.sql' import shelf_ctes with context %}
with {{ shelf_ctes() }},

lines as (
    select number, supplier_number, daily_demand * 20 as quantity, cycle_day - 1 as ordered_days_ago, lead_time_days
    from shelf
    where number % 5 = 3 and cycle_day between 1 and days_low - 1
    union all
    select number, supplier_number, daily_demand * 20, 120, 14
    from shelf
    where number % 50 = 7
)

select
    row_number() over (order by number, ordered_days_ago) as line_number,
    'PO-' || {{ padded('number', 6) }} || '-' || {{ text(day ~ ' - ordered_days_ago') }} as order_number,
    'P' || {{ padded('number', 6) }} as product_id,
    'S' || {{ padded('supplier_number', 4) }} as supplier_id,
    {{ text('quantity') }} as quantity,
    {{ date_text('ordered_days_ago') }} as ordered_on,
    {{ date_text('ordered_days_ago - lead_time_days') }} as expected_on,
    {{ loaded_at() }} as loaded_at
from lines
