-- Projections for reports: balances by day on both time axes, daily activity, and what customers owe. All of it can be rebuilt.

-- Which metadata keys daily activity is split by. Not derived: written with the event that says so, from whose position on the key counts.
create table projection.report_dimension (
  tenant_id uuid not null,
  key text collate "C" not null,
  -- the key counts for transactions after this position
  after_position bigint not null,
  number smallint not null,
  recorded_at timestamptz not null,
  constraint report_dimension_taken primary key (tenant_id, key),
  constraint report_dimension_limit_reached check (number between 1 and 10)
);

-- What entries of an account brought that take effect on one day and were recorded on another. Days are those of UTC. A hold that expires is
-- taken back on the day of its expiry.
create table projection.balances_daily_v (
  tenant_id uuid not null,
  version integer not null,
  account_id uuid not null,
  effective_on date not null,
  recorded_on date not null,
  posted_debits numeric not null,
  posted_credits numeric not null,
  pending_debits numeric not null,
  pending_credits numeric not null,
  constraint balances_daily_v_pkey primary key (tenant_id, version, account_id, effective_on, recorded_on)
) with (fillfactor = 70);

-- What was posted on a business day, in UTC, per type of account and currency: in all (dimension and value empty), and per value of each dimension.
create table projection.reports_v (
  tenant_id uuid not null,
  version integer not null,
  dimension text collate "C" not null,
  effective_on date not null,
  value text collate "C" not null,
  account_type text collate "C" not null,
  currency text collate "C" not null,
  scale smallint not null,
  debits numeric not null,
  credits numeric not null,
  entry_count bigint not null,
  constraint reports_v_pkey primary key (tenant_id, version, dimension, effective_on, value, account_type, currency)
) with (fillfactor = 70);

-- Which values of dimensions a transaction has, of its own or from the one that it captures or reverses.
create table projection.report_transactions_v (
  tenant_id uuid not null,
  version integer not null,
  transaction_id uuid not null,
  dimension text collate "C" not null,
  value text not null,
  constraint report_transactions_v_pkey primary key (tenant_id, version, transaction_id, dimension)
);

-- An invoice in a currency: what transactions that name it came to on accounts of receivables.
create table projection.invoices_v (
  tenant_id uuid not null,
  version integer not null,
  invoice text collate "C" not null,
  currency text collate "C" not null,
  scale smallint not null,
  -- as stated last, and the position that stated it; null as long as none has
  customer text collate "C",
  customer_position bigint,
  due_on date,
  due_position bigint,
  raised numeric not null,
  paid numeric not null,
  first_on date not null,
  last_position bigint not null,
  constraint invoices_v_pkey primary key (tenant_id, version, invoice, currency)
) with (fillfactor = 70);

create index invoices_v_customer_idx on projection.invoices_v (tenant_id, version, customer);
create index invoices_v_open_idx on projection.invoices_v (tenant_id, version, due_on) where raised <> paid;

-- The same by business day, in UTC.
create table projection.invoice_days_v (
  tenant_id uuid not null,
  version integer not null,
  invoice text collate "C" not null,
  currency text collate "C" not null,
  effective_on date not null,
  raised numeric not null,
  paid numeric not null,
  constraint invoice_days_v_pkey primary key (tenant_id, version, invoice, currency, effective_on)
) with (fillfactor = 70);

-- Which invoice a transaction names, itself or through the one that it captures or reverses.
create table projection.invoice_transactions_v (
  tenant_id uuid not null,
  version integer not null,
  transaction_id uuid not null,
  invoice text not null,
  customer text,
  due_on date,
  -- takes back what another did for the same invoice
  is_reversal boolean not null,
  constraint invoice_transactions_v_pkey primary key (tenant_id, version, transaction_id)
);

do $$
declare
  v_table text;
begin
  foreach v_table in array array[
    'report_dimension', 'balances_daily_v', 'reports_v', 'report_transactions_v', 'invoices_v', 'invoice_days_v', 'invoice_transactions_v'
  ] loop
    execute format('alter table projection.%I enable row level security', v_table);
    execute format('alter table projection.%I force row level security', v_table);
    execute format(
      'create policy tenant_wall on projection.%I using (tenant_id = (select nullif(current_setting(''app.tenant_id'', true), '''')::uuid))',
      v_table
    );
    execute format('grant select on projection.%I to lattice_app, lattice_read', v_table);
    if v_table like '%\_v' then
      execute format('grant insert, update, delete on projection.%I to lattice_app', v_table);
    else
      execute format('grant insert on projection.%I to lattice_app', v_table);
    end if;
  end loop;
end;
$$;
