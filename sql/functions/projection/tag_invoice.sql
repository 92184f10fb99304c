-- Part of projection.apply_invoices: which invoice a transaction concerns, from what it says itself and what its target does (nulls: nothing).
-- A reversal states neither customer nor due date unless it does so itself, since a later statement goes before an earlier one.
create or replace function projection.tag_invoice(
  p_invoice text, p_customer text, p_due_on date, p_reverses boolean,
  p_target_invoice text, p_target_customer text, p_target_due_on date, p_target_is_reversal boolean,
  out invoice text, out customer text, out due_on date, out is_reversal boolean
)
language sql immutable parallel safe
set search_path = pg_catalog
begin atomic
  select
    coalesce(p_invoice, p_target_invoice),
    case when p_invoice is not null or p_reverses then p_customer else p_target_customer end,
    case when p_invoice is not null or p_reverses then p_due_on else p_target_due_on end,
    coalesce(p_target_invoice = coalesce(p_invoice, p_target_invoice) and p_reverses <> p_target_is_reversal, false);
end;
