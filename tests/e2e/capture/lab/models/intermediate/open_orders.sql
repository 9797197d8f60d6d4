select order_id from {{ source('landing', 'open_orders') }}
