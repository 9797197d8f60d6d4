{#- Who asked not to be contacted: two in a hundred customers, the first of the storyline, and a few accounts. -#}
{% from 'dialect.sql' import draw, chance, padded, date_text, loaded_at with context %}
with asked as (
    select 'customer' as entity_type, customer_id as entity_id, {{ chance('do not contact', 'customer_id') }} as chances
    from people_today
    where part = 1 or {{ draw(chance('do not contact', 'customer_id'), 0) }} % 100 < 2
    union all
    select 'account', 'A' || {{ padded('i') }}, {{ chance('do not contact', "'A' || i") }}
    from generate_series(1, {{ accounts }}) as numbers(i)
    where {{ draw(chance('do not contact', "'A' || i"), 0) }} % 100 < 3
)

select
    row_number() over (order by entity_type, entity_id) as line_number,
    entity_type,
    entity_id,
    case {{ draw('chances', 1) }} % 3 when 0 then 'unsubscribed' when 1 then 'asked by phone' else 'legal hold' end as reason,
    {{ date_text(draw('chances', 2) ~ ' % 300 + 1') }} || ' 08:00:00' as since_at,
    {{ loaded_at() }} as loaded_at
from asked
