-- Rebuilds of projections: what was built beside what is read, what it differed in, and whether it took its place.

create table projection.rebuild (
  tenant_id uuid not null,
  projection text not null,
  -- 1, 2, 3 … of this projection
  number integer not null,
  -- of the request that asked for it, and for others perhaps
  order_id uuid not null,
  -- that it builds
  version integer not null,
  state text not null,
  -- a difference keeps the new version from being read
  stops_on_difference boolean not null,
  -- where the new version stood at the start: at 0, or further when it had been kept
  from_position bigint not null,
  -- the head of the log then
  to_position bigint not null,
  started_at timestamptz not null,
  ended_at timestamptz,
  -- where the new version stood then
  ended_position bigint,
  -- that was read until then
  previous_version integer,
  -- where both stood when they were compared; null when they were not
  compared_position bigint,
  difference_count bigint,
  -- the first of them
  differences json,
  -- why it failed
  reason text,
  constraint rebuild_pkey primary key (tenant_id, projection, number),
  constraint rebuild_state_known check (state in ('running', 'swapped', 'canceled', 'failed')),
  constraint rebuild_end_told check ((state = 'running') = (ended_at is null)),
  constraint rebuild_swap_told check (state <> 'swapped' or (ended_position is not null and previous_version is not null)),
  constraint rebuild_comparison_told check (
    (compared_position is null) = (difference_count is null) and (compared_position is null) = (differences is null)
  ),
  constraint rebuild_failure_told check ((state = 'failed') = (reason is not null))
);

create unique index rebuild_running on projection.rebuild (tenant_id, projection) where state = 'running';

alter table projection.rebuild enable row level security;
alter table projection.rebuild force row level security;
create policy tenant_wall on projection.rebuild
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant select, insert, update on projection.rebuild to lattice_app;
grant select on projection.rebuild to lattice_read;
