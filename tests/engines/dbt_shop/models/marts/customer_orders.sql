select customers.customer_id, customers.name, count(*) as orders, sum(orders.amount) as spent
from {{ ref('stg_orders') }} as orders
join {{ ref('stg_customers') }} as customers on customers.customer_id = orders.customer_id
group by customers.customer_id, customers.name
