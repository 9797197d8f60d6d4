{# Every landing table and the columns that name a row of it; rejected_rows and landing_accounting follow this list. #}
{% macro landing_tables() %}
{{ return({
    'customers': ['customer_id'],
    'contacts': ['contact_id'],
    'account_owners': ['owned_type', 'owned_id'],
    'do_not_contact': ['entity_type', 'entity_id'],
    'products': ['product_id'],
    'stock_levels': ['product_id', 'location_id'],
    'suppliers': ['supplier_id'],
    'product_suppliers': ['product_id', 'supplier_id'],
    'open_orders': ['order_number', 'product_id'],
    'accounts': ['account_id'],
    'opportunities': ['opportunity_id'],
}) }}
{% endmacro %}
