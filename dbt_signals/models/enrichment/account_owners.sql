{# The account's owner as named; where nobody is named, who owns its latest deal. #}
with named as (
    select owned_id as account_id, owner_name, owner_email, slack_handle
    from {{ ref('stg_account_owners') }}
    where owned_type = 'account'
),

latest_deals as (
    select
        account_id,
        owner_name,
        row_number() over (
            partition by account_id
            order by coalesce(closed_on, engaged_on, cast('1900-01-01' as date)) desc, opportunity_id
        ) as recency
    from {{ ref('stg_opportunities') }}
    where account_id is not null and owner_name is not null
),

taken_over as (
    select latest_deals.account_id, latest_deals.owner_name
    from latest_deals
    left join named
        on latest_deals.account_id = named.account_id
    where latest_deals.recency = 1 and named.account_id is null
)

select account_id, owner_name, owner_email, slack_handle from named
union all
select account_id, owner_name, cast(null as {{ dbt.type_string() }}), cast(null as {{ dbt.type_string() }}) from taken_over
