-- Creates the monthly partitions of log.event and ledger.entry from this month to p_months_ahead months later, and answers how many
-- it created. Each partition carries the same wall as its parent, and no role but the owner has rights on it directly.
-- Runs as its owner, because the process itself may not create tables.
create or replace function log.create_partitions(p_months_ahead integer) returns integer
language plpgsql volatile security definer
set search_path = pg_catalog, pg_temp
as $$
declare
  v_parent text;
  v_month timestamptz;
  v_name text;
  v_created integer := 0;
begin
  perform pg_advisory_xact_lock(hashtextextended('log.create_partitions', 7461));
  foreach v_parent in array array['log.event', 'ledger.entry'] loop
    for v_ahead in 0 .. least(p_months_ahead, 120) loop
      v_month := (date_trunc('month', now() at time zone 'UTC') + make_interval(months => v_ahead)) at time zone 'UTC';
      v_name := format('%s_%s', v_parent, to_char(v_month at time zone 'UTC', 'YYYY_MM'));
      continue when to_regclass(v_name) is not null;
      execute format(
        'create table %s partition of %s for values from (%L) to (%L)',
        v_name, v_parent, v_month, ((v_month at time zone 'UTC') + interval '1 month') at time zone 'UTC'
      );
      execute format('alter table %s enable row level security', v_name);
      execute format('alter table %s force row level security', v_name);
      execute format(
        'create policy tenant_wall on %s using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
        v_name
      );
      v_created := v_created + 1;
    end loop;
  end loop;
  return v_created;
end;
$$;
