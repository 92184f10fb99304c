-- The leaves of proofs.hash_events one after the other, 32 bytes each, and how many positions they are of. `is_dense` says that each position
-- after p_after up to p_up_to has one event, and that no entry has none.
create or replace function proofs.hash_range(
  p_tenant_id uuid, p_after bigint, p_up_to bigint, p_from_at timestamptz, p_to_at timestamptz, out is_dense boolean, out leaves bytea
)
language sql stable
set search_path = pg_catalog
as $$
  select
    count(*) = p_up_to - p_after and count(hashed.leaf) = count(*) and count(*) = count(distinct hashed.position),
    coalesce(string_agg(hashed.leaf, ''), '')
  from proofs.hash_events(p_tenant_id, p_after, p_up_to, p_from_at, p_to_at) hashed;
$$;
