-- name: settings_describe
select string_agg(format('%s=%s', pg_settings.name, current_setting(pg_settings.name)), ', ' order by pg_settings.name) as settings
from pg_settings
where pg_settings.name in (
  'server_version', 'synchronous_commit', 'fsync', 'full_page_writes', 'shared_buffers', 'max_wal_size', 'wal_sync_method'
);
