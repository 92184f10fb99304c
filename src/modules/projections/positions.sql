-- name: projection_position_find
select position, version, head_position
from projection.find_position($tenant_id, $name);
