select owned_id as customer_id, owner_name, owner_email, slack_handle
from {{ ref('stg_account_owners') }}
where owned_type = 'customer'
