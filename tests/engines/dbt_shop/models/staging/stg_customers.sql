select id as customer_id, name, city
from {{ source('till', 'raw_customers') }}
