{# A won deal has no degrees, so its severity never changes and nothing escalates; what it is worth is in `value`. #}
select
    opportunity_id as entity_id,
    'medium' as severity,
    cast(null as double precision) as score,
    coalesce(account_name, 'A deal without an account') || ' bought ' || coalesce(product_name, 'an unnamed product')
    || coalesce(' for ' || {{ as_text('cast(value as numeric(18, 2))') }} || ' ' || currency, '')
    || case when account_id is null then '; find out who the customer is' else '; welcome them' end as reason,
    {{ utc_moment('loaded_at') }} as observed_at,
    account_id,
    account_name,
    owner_name,
    owner_email,
    value,
    currency,
    product_name as product,
    closed_on,
    contact_name,
    contact_email
from {{ ref('deals') }}
where stage = 'Won'
