{#- Who sells to the company: twelve that deliver, one that has given up, one that is dear. -#}
{% from 'dialect.sql' import padded, choice, text, loaded_at with context %}
select
    i as line_number,
    'S' || {{ padded('i', 4) }} as supplier_id,
    'ACC' || {{ padded('i', 4) }} as account_number,
    {{ choice(supplier_names, 'i - 1') }} as supplier_name,
    {{ text('i % 5 + 1') }} as credit_rating,
    case when i <= 12 then 'true' else 'false' end as is_preferred,
    case when i <> 13 then 'true' else 'false' end as is_active,
    'orders@s' || {{ padded('i', 4) }} || '.example' as email,
    'EUR' as currency,
    {{ loaded_at() }} as loaded_at
from generate_series(1, 14) as numbers(i)
