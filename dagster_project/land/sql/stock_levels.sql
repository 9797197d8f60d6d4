{#- Stock counts by location; a few products have never been counted. -#}
{% from 'dialect.sql' import padded, quotient, text, date_text, loaded_at with context %}
{% from 'shelf.sql' import shelf_ctes with context %}
with {{ shelf_ctes() }},

places as (
    select number, 'store' as location_id, quantity - {{ quotient('quantity', 3) }} as quantity from shelf
    union all
    select number, 'back room', {{ quotient('quantity', 3) }} from shelf
)

select
    row_number() over (order by number, location_id) as line_number,
    'P' || {{ padded('number', 6) }} as product_id,
    location_id,
    {{ text('number % 12 + 1') }} as shelf,
    {{ text('number % 30 + 1') }} as bin,
    {{ text('quantity') }} as quantity,
    {{ date_text('0') }} as counted_on,
    {{ loaded_at() }} as loaded_at
from places
where number % 67 <> 5
