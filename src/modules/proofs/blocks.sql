-- name: block_find_last
select
  coalesce(latest.number, 0) as number, coalesce(latest.last_position, 0) as last_position, latest.hash,
  statement_timestamp() as closed_at
from (values (true)) always (there)
left join lateral (
  select block.number, block.last_position, block.hash
  from proofs.block
  where block.tenant_id = $tenant_id
  order by block.number desc
  limit 1
) latest on true;

-- name: block_insert
insert into proofs.block (
  tenant_id, number, first_position, last_position, root, previous_hash, closed_at, key_id, hash, signature, leaves
)
values (
  $tenant_id, $number, $first_position, $last_position, $root, $previous_hash, $closed_at, $key_id, $hash, $signature, $leaves
);

-- name: block_list
select tenant_id, number, first_position, last_position, root, previous_hash, closed_at, key_id, hash, signature
from proofs.block
where tenant_id = $tenant_id and ($before::bigint is null or number < $before)
order by number desc
limit $row_limit;

-- name: block_find
select tenant_id, number, first_position, last_position, root, previous_hash, closed_at, key_id, hash, signature
from proofs.block
where tenant_id = $tenant_id and (number = $number or hash = $hash);
