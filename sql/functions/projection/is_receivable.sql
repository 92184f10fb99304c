-- Whether what is posted to an account is owed by customers: an asset with `receivables` or `loans` among the segments of its code, but not
-- the allowance for losses on them.
create or replace function projection.is_receivable(p_type text, p_code text) returns boolean
language sql immutable strict parallel safe
set search_path = pg_catalog
begin atomic
  select p_type = 'asset' and p_code ~ '(^|:)(receivables|loans)(:|$)' and p_code !~ ':allowance$';
end;
