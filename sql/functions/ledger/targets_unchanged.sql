-- Whether each target is still as its caller saw it: nothing happened to it after number - 1, and neither it nor a new hold (which has
-- an expiry and no target) has expired. Nulls are commands without either.
create or replace function ledger.targets_unchanged(
  p_tenant_id uuid, p_target_ids uuid[], p_target_numbers integer[], p_target_expires_ats timestamptz[], p_now timestamptz
) returns boolean
language sql volatile
set search_path = pg_catalog
begin atomic
  select not exists (
    select
    from unnest(p_target_ids, p_target_numbers, p_target_expires_ats) as target(id, number, expires_at)
    where target.expires_at <= p_now
      or exists (
        select
        from ledger.transaction_link link
        where link.tenant_id = p_tenant_id and link.transaction_id = target.id and link.number >= target.number
      )
  );
end;
