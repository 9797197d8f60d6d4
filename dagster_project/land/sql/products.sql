{#- The product master. -#}
{% from 'dialect.sql' import draw, padded, money, choice, text, date_text, loaded_at with context %}
{% from 'shelf.sql' import shelf_ctes with context %}
with {{ shelf_ctes() }}

select
    number as line_number,
    'P' || {{ padded('number', 6) }} as product_id,
    {{ choice(product_codes, draw('chances', 5)) }} || '-' || {{ padded('number', 6) }} as product_number,
    case
        when number % 40 = 9 then {{ choice(odd_product_names, draw('chances', 5)) }}
        else {{ choice(product_words, draw('chances', 5)) }} || ' ' || {{ choice(product_kinds, draw('chances', 6)) }}
    end || ' ' || {{ text('number') }} as product_name,
    {{ text('reorder_point + 20') }} as safety_stock_level,
    {{ text('reorder_point') }} as reorder_point,
    {{ money('price_cents * 2') }} as list_price,
    {{ text('daily_demand') }} as daily_demand,
    case when number % 90 = 17 then {{ date_text('200') }} end as discontinued_on,
    {{ loaded_at() }} as loaded_at
from shelf
