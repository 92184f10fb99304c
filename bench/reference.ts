// What every posting rate is compared with: bare durable inserts of two rows, one commit each, without HTTP, keys, limits or a log,
// into a table with the columns and the two indexes of ledger.entry. A process of its own, like the load generator.
import pg from 'pg';
import { newHistogram, record } from './histogram.ts';
import { type ReferenceSpec, ReferenceSpecSchema, type Report } from './protocol.ts';

const create = `
  create schema if not exists bench;
  drop table if exists bench.entry;
  create table bench.entry (
    tenant_id uuid not null,
    position bigint not null,
    ordinal integer not null,
    account_id uuid not null,
    layer text not null,
    direction text not null,
    amount numeric(38, 0) not null,
    effective_at timestamptz not null,
    recorded_at timestamptz not null,
    expires_at timestamptz,
    constraint entry_pkey primary key (tenant_id, position, ordinal, recorded_at)
  );
  create index entry_account_idx on bench.entry (tenant_id, account_id, position);
`;

const insert = {
  name: 'entries_insert',
  text: `
    insert into bench.entry (
      tenant_id, position, ordinal, account_id, layer, direction, amount, effective_at, recorded_at
    )
    values
      ($1::uuid, $2::bigint, 0, $3::uuid, 'posted', 'debit', $5::numeric, now(), now()),
      ($1::uuid, $2::bigint, 1, $4::uuid, 'posted', 'credit', $5::numeric, now(), now())
  `,
};

process.once('message', (message) => run(ReferenceSpecSchema.parse(message)));

async function run(spec: ReferenceSpec): Promise<void> {
  const clients = await Promise.all(Array.from({ length: spec.connections }, () => connect(spec)));
  const [first] = clients;
  if (first === undefined) throw new Error('the reference needs a connection');
  await first.query(create);

  const tenant_id = crypto.randomUUID();
  const accounts = Array.from({ length: spec.accounts }, () => crypto.randomUUID());
  const account = () => accounts[Math.floor(Math.random() * accounts.length)];
  const histogram = newHistogram();
  let position = 0;
  let acknowledged = 0;
  let measured = 0;
  let phase: 'warming' | 'measuring' | 'over' = 'warming';

  const post = async (client: pg.Client) => {
    while (phase !== 'over') {
      position += 1;
      const sent_at = performance.now();
      await client.query({ ...insert, values: [tenant_id, position, account(), account(), '500'] });
      acknowledged += 1;
      if (phase === 'measuring') {
        measured += 1;
        record(histogram, (performance.now() - sent_at) * 1000);
      }
    }
  };
  let started_at = 0;
  let ended_at = 0;
  setTimeout(() => {
    phase = 'measuring';
    started_at = performance.now();
    tell({ kind: 'measuring' });
  }, spec.warmup_seconds * 1000);
  setTimeout(
    () => {
      phase = 'over';
      ended_at = performance.now();
      tell({ kind: 'measured' });
    },
    (spec.warmup_seconds + spec.seconds) * 1000,
  );
  await Promise.all(clients.map(post));

  const counted = await first.query('select count(*)::integer as rows from bench.entry');
  const rows = Number(counted.rows[0].rows);
  await Promise.all(clients.map((client) => client.end()));
  tell({
    kind: 'result',
    requests: measured,
    transactions: measured,
    seconds: (ended_at - started_at) / 1000,
    acknowledged,
    errors: rows === 2 * acknowledged ? 0 : 1,
    problems: rows === 2 * acknowledged ? [] : [`${rows} rows of ${acknowledged} inserts`],
    histogram,
  });
  process.disconnect();
}

async function connect(spec: ReferenceSpec): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: spec.connection_string });
  await client.connect();
  return client;
}

function tell(report: Report): void {
  if (process.send === undefined) throw new Error('started by hand: the bench starts this process');
  process.send(report);
}
