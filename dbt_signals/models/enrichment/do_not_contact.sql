{# A date that could not be read is replaced by the moment the row arrived: the wish holds from then at the latest. #}
select
    entity_type,
    entity_id,
    coalesce(reason, 'no reason given') as reason,
    coalesce(since_at, loaded_at) as since_at
from {{ ref('stg_do_not_contact') }}
