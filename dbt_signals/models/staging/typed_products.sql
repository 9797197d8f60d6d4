with read_values as (
    select
        line_number,
        {{ parse_text('product_id') }} as product_id,
        {{ parse_text('product_number') }} as product_number,
        {{ parse_text('product_name') }} as product_name,
        {{ parse_number('safety_stock_level') }} as safety_stock_level,
        {{ parse_number('reorder_point') }} as reorder_point,
        {{ parse_number('list_price', 'numeric(18, 2)') }} as list_price,
        {{ parse_text('daily_demand') }} as daily_demand_text,
        {{ parse_number('daily_demand') }} as daily_demand,
        {{ parse_text('discontinued_on') }} as discontinued_text,
        {{ parse_date('discontinued_on') }} as discontinued_on,
        loaded_at
    from {{ source('landing', 'products') }}
),

counted as (
    select *, {{ times_seen('product_id') }} as times_seen
    from read_values
)

select
    line_number,
    product_id,
    product_number,
    product_name,
    safety_stock_level,
    reorder_point,
    list_price,
    daily_demand,
    discontinued_on,
    loaded_at,
    case
        when product_id is null then 'product_id is empty'
        when times_seen > 1 then 'product_id was on an earlier line'
        when product_number is null then 'product number is empty'
        when reorder_point is null or reorder_point < 0 then 'reorder point is not a quantity'
        when daily_demand_text is not null and coalesce(daily_demand, -1) < 0 then 'daily demand is neither empty nor a quantity'
        when discontinued_text is not null and discontinued_on is null then 'discontinued date cannot be read'
    end as rejection_reason
from counted
