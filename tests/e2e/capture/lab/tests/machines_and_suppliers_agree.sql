-- a test on two signals: it is skipped when either of them fails to build
select entity_id from {{ ref('machine_overheating') }} where entity_id = 'wrong'
union all
select entity_id from {{ ref('supplier_overdue') }} where entity_id = 'wrong'
