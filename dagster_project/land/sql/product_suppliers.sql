{#- Who supplies what: each product has its supplier and a faster, dearer one; some have only one that has given up. -#}
{% from 'dialect.sql' import draw, padded, quotient, money, text, loaded_at with context %}
{% from 'shelf.sql' import shelf_ctes with context %}
with {{ shelf_ctes() }},

offers as (
    select
        number,
        case when number % 97 = 13 then 13 else supplier_number end as supplier_number,
        price_cents,
        lead_time_days,
        case when number % 4 = 0 then 25 else 1 end as min_order_quantity,
        case when number % 11 = 0 then 30 else 5000 end as max_order_quantity
    from shelf
    union all
    select number, 14, price_cents + {{ quotient('price_cents', 4) }} + 1, 3, 1, 100
    from shelf
    where number % 97 <> 13
)

select
    row_number() over (order by number, supplier_number) as line_number,
    'P' || {{ padded('number', 6) }} as product_id,
    'S' || {{ padded('supplier_number', 4) }} as supplier_id,
    {{ money('price_cents') }} as unit_price,
    {{ text('lead_time_days') }} as lead_time_days,
    {{ text('min_order_quantity') }} as min_order_quantity,
    {{ text('max_order_quantity') }} as max_order_quantity,
    'EA' as unit_of_measure,
    {{ loaded_at() }} as loaded_at
from offers
