{# One supplier a product: of the active ones that deliver within the limit the cheapest; if none does, the fastest. #}
with offers as (
    select
        offers.product_id,
        offers.supplier_id,
        suppliers.supplier_name,
        suppliers.currency,
        offers.unit_price,
        offers.lead_time_days,
        coalesce(offers.min_order_quantity, 1) as min_order_quantity,
        offers.max_order_quantity,
        offers.lead_time_days <= {{ var('supplier_lead_time_limit_days') }} as is_within_lead_time
    from {{ ref('stg_product_suppliers') }} as offers
    inner join {{ ref('stg_suppliers') }} as suppliers
        on offers.supplier_id = suppliers.supplier_id
    where suppliers.is_active
),

ranked as (
    select
        *,
        row_number() over (
            partition by product_id
            order by
                case when is_within_lead_time then 0 else 1 end,
                case when is_within_lead_time then unit_price else lead_time_days end,
                lead_time_days,
                unit_price,
                supplier_id
        ) as preference
    from offers
)

select
    product_id,
    supplier_id,
    supplier_name,
    currency,
    unit_price,
    lead_time_days,
    min_order_quantity,
    max_order_quantity,
    is_within_lead_time
from ranked
where preference = 1
