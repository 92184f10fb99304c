-- name: report_dimension_insert
insert into projection.report_dimension (tenant_id, key, after_position, number, recorded_at)
select $tenant_id, $key, $position, count(*) + 1, $recorded_at::timestamptz
from projection.report_dimension
where tenant_id = $tenant_id
returning key, after_position, recorded_at;

-- name: report_dimension_list
select key, after_position, recorded_at
from projection.report_dimension
where tenant_id = $tenant_id
order by number;
