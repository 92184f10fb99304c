-- name: sealing_find
select head_position, sealed_position, stray_positions
from proofs.find_sealing($tenant_id);

-- name: block_page
select tenant_id, number, first_position, last_position, root, previous_hash, closed_at, key_id, hash, signature, leaves
from proofs.block
where tenant_id = $tenant_id and number > $after_number
  and (last_position <= $after_position::bigint + $page_positions::bigint or number = $after_number::bigint + 1)
order by number
limit $row_limit;

-- name: range_hash
select is_dense, leaves
from proofs.hash_range($tenant_id, $after, $up_to, null, null);

-- name: event_hash_list
select position, leaf
from proofs.hash_events($tenant_id, $after, $up_to, null, null);
