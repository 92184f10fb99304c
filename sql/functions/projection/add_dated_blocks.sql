-- Part of projection.apply_entries: the blocks that a slice of the log completes for one account with p_count dated entries before it.
-- A block ends at the position at which the count passes a multiple of its size: p_block on level 0, eight times that on the next.
create or replace function projection.add_dated_blocks(
  p_tenant_id uuid, p_version integer, p_account_id uuid, p_count bigint, p_block bigint,
  p_start bigint, p_start_at timestamptz, p_end bigint, p_end_at timestamptz
) returns void
language plpgsql volatile
set search_path = pg_catalog
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_nestloop = on
as $$
declare
  c_levels constant integer := 4;
  c_fan_in constant integer := 8;
  v_count bigint := p_count;
  v_size bigint;
  v_at record;
  v_block_start record;
begin
  for v_at in
    select entry.position, max(entry.recorded_at) as recorded_at, count(*) as dated_count
    from ledger.entry
    where entry.tenant_id = p_tenant_id and entry.account_id = p_account_id
      and entry.position > p_start and entry.position <= p_end
      and entry.recorded_at >= p_start_at and entry.recorded_at <= p_end_at
      and (entry.effective_at <> entry.recorded_at or entry.expires_at is not null)
    group by entry.position
    order by entry.position
  loop
    v_size := p_block;
    for v_level in 0 .. c_levels - 1 loop
      exit when (v_count + v_at.dated_count) / v_size = v_count / v_size;
      select coalesce(max(block.end_position), 0) as position, coalesce(max(block.recorded_at), '-infinity') as recorded_at
      into v_block_start
      from projection.dated_blocks_v block
      where block.tenant_id = p_tenant_id and block.version = p_version and block.account_id = p_account_id and block.level = v_level;
      if v_level = 0 then
        perform projection.sum_dated_entries(
          p_tenant_id, p_version, p_account_id, v_block_start.position, v_block_start.recorded_at, v_at.position, v_at.recorded_at
        );
      else
        perform projection.merge_dated_sums(p_tenant_id, p_version, p_account_id, v_level, v_block_start.position, v_at.position);
      end if;
      insert into projection.dated_blocks_v (tenant_id, version, account_id, level, start_position, end_position, recorded_at, expires)
      values (
        p_tenant_id, p_version, p_account_id, v_level, v_block_start.position, v_at.position, v_at.recorded_at,
        exists (
          select
          from projection.dated_sums_v sums
          where sums.tenant_id = p_tenant_id and sums.version = p_version and sums.account_id = p_account_id and sums.level = v_level
            and sums.end_position = v_at.position and sums.series = 'expiry'
        )
      );
      v_size := v_size * c_fan_in;
    end loop;
    v_count := v_count + v_at.dated_count;
  end loop;
end;
$$;
