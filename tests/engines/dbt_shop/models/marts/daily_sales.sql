select placed_on, sum(amount) as amount
from {{ ref('stg_orders') }}
group by placed_on
