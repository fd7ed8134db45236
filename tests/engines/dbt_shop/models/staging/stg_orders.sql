select id as order_id, customer_id, cents / 100.0 as amount, placed_on
from {{ source('till', 'raw_orders') }}
