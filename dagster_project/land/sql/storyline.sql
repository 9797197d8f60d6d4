{#- The customers whose bad spell begins on day 2, in order: one of them must not be contacted, others have odd names. -#}
{% from 'people.sql' import people_ctes with context %}
with {{ people_ctes(2) }}

select customer_number, row_number() over (order by customer_number) as part
from moods
where is_turning
