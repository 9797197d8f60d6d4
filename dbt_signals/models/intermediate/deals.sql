{# Every opportunity with whom it is with: the population of the deal signal. An account, its owner or contact may be unknown. #}
with account_people as (
    select
        account_id,
        contact_name,
        email,
        row_number() over (partition by account_id order by case when is_primary then 0 else 1 end, contact_id) as preference
    from {{ ref('stg_contacts') }}
    where account_id is not null
),

account_keepers as (
    select owned_id as account_id, owner_name, owner_email
    from {{ ref('stg_account_owners') }}
    where owned_type = 'account'
),

{# the company's own people by name: the deal names its owner, the e-mail address is with the accounts they keep #}
people as (
    select owner_name, min(owner_email) as owner_email
    from {{ ref('stg_account_owners') }}
    group by owner_name
)

select
    deals.opportunity_id,
    deals.account_id,
    coalesce(accounts.account_name, deals.account_id) as account_name,
    deals.product_name,
    deals.stage,
    coalesce(deals.owner_name, account_keepers.owner_name) as owner_name,
    case when deals.owner_name is null then account_keepers.owner_email else people.owner_email end as owner_email,
    account_people.contact_name,
    account_people.email as contact_email,
    deals.engaged_on,
    deals.closed_on,
    deals.value,
    coalesce(deals.currency, '{{ var("default_currency") }}') as currency,
    deals.loaded_at
from {{ ref('stg_opportunities') }} as deals
left join {{ ref('stg_accounts') }} as accounts
    on deals.account_id = accounts.account_id
left join account_keepers
    on deals.account_id = account_keepers.account_id
left join people
    on deals.owner_name = people.owner_name
left join account_people
    on deals.account_id = account_people.account_id and account_people.preference = 1
