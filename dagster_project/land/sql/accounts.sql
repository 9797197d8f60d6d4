{#- The businesses that deals are made with. -#}
{% from 'dialect.sql' import draw, chance, padded, choice, loaded_at with context %}
with businesses as (
    select i as number, {{ chance('account', 'i') }} as chances
    from generate_series(1, {{ accounts }}) as numbers(i)
)

select
    number as line_number,
    'A' || {{ padded('number') }} as account_id,
    case
        when number % 20 = 3 then {{ choice(odd_business_names, draw('chances', 0)) }}
        else {{ choice(business_words, draw('chances', 0)) }} || ' ' || {{ choice(business_kinds, draw('chances', 1)) }}
    end as account_name,
    case {{ draw('chances', 4) }} % 3 when 0 then 'small' when 1 then 'mid' else 'large' end as segment,
    {{ loaded_at() }} as loaded_at
from businesses
