{#- One contact a customer, but for a few who left none, and one an account. -#}
{% from 'dialect.sql' import draw, chance, padded, choice, loaded_at with context %}
with customer_contacts as (
    select
        customer_number as number,
        'PC' || {{ padded('customer_number') }} as contact_id,
        customer_id,
        cast(null as varchar) as account_id,
        customer_name as contact_name,
        first_name,
        last_name
    from people_today
    where {{ draw(chance('contact', 'customer_number'), 0) }} % 100 >= 2
),

account_people as (
    select i as number, {{ chance('account', 'i') }} as chances
    from generate_series(1, {{ accounts }}) as numbers(i)
),

account_contacts as (
    select
        number,
        'PA' || {{ padded('number') }} as contact_id,
        cast(null as varchar) as customer_id,
        'A' || {{ padded('number') }} as account_id,
        {{ choice(first_names, draw('chances', 2)) }} || ' ' || {{ choice(last_names, draw('chances', 3)) }} as contact_name,
        {{ choice(first_names, draw('chances', 2)) }} as first_name,
        {{ choice(last_names, draw('chances', 3)) }} as last_name
    from account_people
),

everybody as (
    select * from customer_contacts
    union all
    select * from account_contacts
)

select
    row_number() over (order by contact_id) as line_number,
    contact_id,
    customer_id,
    account_id,
    contact_name,
    first_name,
    last_name,
    lower(contact_id) || '@' || case when customer_id is null then 'business' else 'home' end || '.example' as email,
    '+1555' || {{ padded('number', 7) }} as phone,
    'true' as is_primary,
    {{ loaded_at() }} as loaded_at
from everybody
