-- A call that posts for several tenants looks once whether any of their logs has grown since its caller last saw it: it may read the
-- events of the tenants it names in app.batch_tenant_ids, and of no other. Nothing else of theirs is readable that way.

create policy batch_heads on log.event for select
  using (tenant_id = any (coalesce((select nullif(current_setting('app.batch_tenant_ids', true), '')::uuid[]), '{}')));
