with ranked as (
    select
        *,
        row_number() over (partition by account_id order by case when is_primary then 0 else 1 end, contact_id) as preference
    from {{ ref('stg_contacts') }}
    where account_id is not null
)

select account_id, contact_name, first_name, last_name, email, phone
from ranked
where preference = 1
