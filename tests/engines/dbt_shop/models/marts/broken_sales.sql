{{ config(enabled=var('with_broken', false)) }}
select cast(name as integer) as amount
from {{ ref('stg_customers') }}
