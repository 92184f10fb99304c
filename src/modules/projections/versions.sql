-- name: version_drop
select projection.drop_versions($tenant_id, $projection, $version, $kept_version) as dropped;

-- name: version_sweep
select projection.sweep_rows($tenant_id, $projection, $table, $row_limit) as deleted_count;
