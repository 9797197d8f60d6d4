{#- Which of the company's people looks after whom. -#}
{% from 'dialect.sql' import draw, chance, padded, choice, loaded_at with context %}
with owned as (
    select 'customer' as owned_type, customer_id as owned_id, {{ draw(chance('owner', 'customer_id'), 0) }} as owner_number
    from people_today
    union all
    select 'account', 'A' || {{ padded('i') }}, {{ draw(chance('owner', "'A' || i"), 0) }}
    from generate_series(1, {{ accounts }}) as numbers(i)
),

owners as (
    select owned_type, owned_id, {{ choice(owner_handles, 'owner_number') }} as handle, {{ choice(owner_names, 'owner_number') }} as owner_name
    from owned
)

select
    row_number() over (order by owned_type, owned_id) as line_number,
    owned_type,
    owned_id,
    owner_name,
    handle || '@company.example' as owner_email,
    '@' || handle as slack_handle,
    {{ loaded_at() }} as loaded_at
from owners
