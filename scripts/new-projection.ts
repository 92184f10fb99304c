// `npm run new:projection NAME`: a table, the SQL function that applies a slice, a recount, the line of the manifest and a test. What it makes
// counts events by day and type, and is right as it is; change it from there. `npm run generate` then writes sql/schema.sql.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const root = join(import.meta.dirname, '..');
const [name = ''] = process.argv.slice(2);
const manifest = 'src/modules/projections/manifest.ts';
const classification = 'sql/classification.json';

const read = (path: string) => readFileSync(join(root, path), 'utf8');
const written: string[] = [];
function write(path: string, text: string, flag: 'w' | 'wx' = 'wx'): void {
  writeFileSync(join(root, path), text, { flag });
  written.push(path);
}

if (!/^[a-z][a-z0-9]*(_[a-z0-9]+)*$/.test(name) || name.length > 40) {
  console.error(
    'usage: npm run new:projection NAME   NAME is snake_case, at most 40 characters, such as refunds_daily',
  );
  process.exit(2);
}

const numbers = readdirSync(join(root, 'sql/migrations')).map((file) => Number(file.slice(0, 4)));
const number = String(Math.max(...numbers) + 1).padStart(4, '0');
const files = {
  migration: `sql/migrations/${number}_${name}.sql`,
  apply: `sql/functions/projection/apply_${name}.sql`,
  recount: `sql/functions/projection/differing_${name}.sql`,
  queries: `src/modules/projections/${name}.sql`,
  module: `src/modules/projections/${name}.ts`,
  test: `test/modules/projections/${name}.test.ts`,
};

// All of it before the first file is written: what a half of it leaves behind would be in the way of the next try.
const taken = read(manifest).includes(`import { ${name} } from`)
  ? `a projection ${name}`
  : (Object.values(files).find((path) => existsSync(join(root, path))) ??
    new RegExp(`^create (table|view|materialized view) (projection\\.${name}_v)\\b`, 'm')
      .exec(read('sql/schema.sql'))
      ?.slice(1, 3)
      .join(' '));
if (taken !== undefined) {
  console.error(`there is ${taken} already: take another name`);
  process.exit(1);
}

write(
  files.migration,
  `-- The projection ${name}: how many events of each type happened on a day.

create table projection.${name}_v (
  tenant_id uuid not null,
  version integer not null,
  occurred_on date not null,
  type text collate "C" not null,
  event_count bigint not null,
  constraint ${name}_v_pkey primary key (tenant_id, version, occurred_on, type)
) with (fillfactor = 70);

alter table projection.${name}_v enable row level security;
alter table projection.${name}_v force row level security;
create policy tenant_wall on projection.${name}_v
  using (tenant_id = (select nullif(current_setting('app.tenant_id', true), '')::uuid));

grant select, insert, update, delete on projection.${name}_v to lattice_app;
grant select on projection.${name}_v to lattice_read;
`,
);

write(
  files.apply,
  `-- Carries ${name} forward by at most p_limit positions: how many events of each type happened on a day of UTC.
-- One call is one transaction; answers what log.begin_slice says, and the position reached.
--
-- Locks: the consumer's row, until commit.
-- Commits without waiting for the disk: what is lost of this, rows and position together, is applied again.
create or replace function projection.apply_${name}(
  p_tenant_id uuid, p_consumer text, p_limit integer,
  out state text, out "position" bigint, out head_position bigint, out retry_ms integer
)
language plpgsql volatile
set search_path = pg_catalog
set timezone = 'UTC'
set plan_cache_mode = force_generic_plan
set enable_seqscan = off
set enable_sort = off
set work_mem = '64MB'
set jit = off
as $$
declare
  v_slice record;
begin
  perform set_config('synchronous_commit', 'off', true);
  select * into v_slice from log.begin_slice(p_tenant_id, p_consumer, p_limit);
  state := v_slice.state;
  position := v_slice.up_to_position;
  head_position := v_slice.head_position;
  retry_ms := v_slice.retry_ms;
  if v_slice.state <> 'slice' then
    return;
  end if;

  insert into projection.${name}_v as counted (tenant_id, version, occurred_on, type, event_count)
  select p_tenant_id, v_slice.version, event.occurred_at::date, event.type, count(*)
  from log.event
  where event.tenant_id = p_tenant_id
    and event.position > v_slice.after_position and event.position <= v_slice.up_to_position
    and event.recorded_at >= v_slice.after_at and event.recorded_at <= v_slice.up_to_at
  group by event.occurred_at::date, event.type
  on conflict on constraint ${name}_v_pkey do update
  set event_count = counted.event_count + excluded.event_count;

  perform log.end_slice(p_tenant_id, array[p_consumer], v_slice.up_to_position, v_slice.up_to_at);
end;
$$;
`,
);

write(
  files.recount,
  `-- Recounts ${name} from the log up to the position that the projection has reached. Answers what differs. Shares nothing with
-- projection.apply_${name}, so that a mistake in one of them shows.
create or replace function projection.differing_${name}(p_tenant_id uuid)
returns table (what text, expected text, found text)
language plpgsql stable
set search_path = pg_catalog
set plan_cache_mode = force_custom_plan
set enable_nestloop = off
as $$
declare
  v_consumer log.consumer;
begin
  perform set_config('app.tenant_id', p_tenant_id::text, true);
  select * into v_consumer from log.consumer where consumer.tenant_id = p_tenant_id and consumer.name = '${name}';
  return query
  select format('${name}_v %s %s', occurred_on, type), counted.event_count::text, stored.event_count::text
  from (
    select date_trunc('day', event.occurred_at at time zone 'UTC')::date as occurred_on, event.type, sum(1) as event_count
    from log.event
    where event.tenant_id = p_tenant_id and event.position <= v_consumer.position
    group by 1, 2
  ) counted
  full join (
    select row.occurred_on, row.type, row.event_count
    from projection.${name}_v row
    where row.tenant_id = p_tenant_id and row.version = v_consumer.version
  ) stored using (occurred_on, type)
  where counted.event_count is distinct from stored.event_count;
end;
$$;
`,
);

write(
  files.queries,
  `-- name: ${name}_apply
select state, position, head_position, retry_ms
from projection.apply_${name}($tenant_id, $consumer, $limit);

-- name: ${name}_recount
select what, expected, found
from projection.differing_${name}($tenant_id)
limit 1000;

-- name: ${name}_state
select coalesce(json_agg(latest), '[]')::text as data
from (
  select occurred_on, type, event_count
  from projection.${name}_v
  where tenant_id = $tenant_id and version = $version
    and occurred_on between (now() at time zone 'UTC')::date - 1 and (now() at time zone 'UTC')::date
  order by occurred_on desc, type
  limit 200
) latest;
`,
);

write(
  files.module,
  `// How many events of each type happened on a day.
import { queries } from '../../db.ts';
import type { Projection } from './projection.ts';

const sql = queries(import.meta.url, '${name}_apply', '${name}_recount', '${name}_state');

export const ${name}: Projection = {
  name: '${name}',
  description: 'Counts events by day and type',
  tables: ['${name}_v'],
  within_ms: 930,
  apply: sql.${name}_apply,
  recount: sql.${name}_recount,
  state: sql.${name}_state,
};
`,
);

write(
  files.test,
  `// The projection ${name}; that any slicing comes to the same rows and to those of its recount is proved by harness.test.ts.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { ${name} } from '../../../src/modules/projections/${name}.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { aTenant, anAccount } from '../../support/factories.ts';
import { startServer } from '../../support/server.ts';

test('events are counted by their type', async () => {
  const tenant = await aTenant();
  const server = await startServer({ CONSUMERS: 'off' });
  await anAccount(server.client(tenant.api_key));
  await anAccount(server.client(tenant.api_key));
  const values = { tenant_id: tenant.id, consumer: ${name}.name, limit: 1_000 };
  await database.call(${name}.apply, values, z.unknown());
  const counted = await asSuperuser(
    z.object({ type: z.string(), event_count: z.string() }),
    "select type, event_count from projection.${name}_v where tenant_id = $1 and type = 'ledger.account_created'",
    [tenant.id],
  );
  expect(counted).toEqual([{ type: 'ledger.account_created', event_count: '2' }]);
  const [state] = await database.read(tenant.actor, (tx) =>
    tx.many(${name}.state, { tenant_id: tenant.id, version: 1 }, z.object({ data: z.string() })),
  );
  expect(JSON.parse(state?.data ?? '')).toContainEqual({
    occurred_on: expect.any(String),
    type: 'ledger.account_created',
    event_count: 2,
  });
});

test('a count of events that somebody has changed is named by the proof', async () => {
  const tenant = await aTenant();
  const server = await startServer({ CONSUMERS: 'off', LOG_LEVEL: 'silent' });
  const values = { tenant_id: tenant.id, consumer: ${name}.name, limit: 1_000 };
  await database.call(${name}.apply, values, z.unknown());
  const text = 'update projection.${name}_v set event_count = event_count + 1 where tenant_id = $1';
  await asSuperuser(z.unknown(), text, [tenant.id]);
  const proof = await server.client(tenant.api_key).get('/v1/proof');
  expect(proof.body).toMatchObject({ ok: false, halted: false, differences: [{ check: '${name}_v' }] });
});
`,
);

write(
  manifest,
  read(manifest)
    .replace(
      'import type { Projection }',
      `import { ${name} } from './${name}.ts';\nimport type { Projection }`,
    )
    .replace(/\];\s*$/, `, ${name}];\n`)
    .replace(/,\s*, /, ', '),
  'w',
);

const classes = z
  .record(z.string(), z.record(z.string(), z.string()))
  .parse(JSON.parse(read(classification)));
classes[`projection.${name}_v`] = {
  event_count: 'public',
  occurred_on: 'public',
  tenant_id: 'public',
  type: 'public',
  version: 'public',
};
const sorted = Object.fromEntries(Object.entries(classes).sort(([a], [b]) => (a < b ? -1 : 1)));
write(classification, `${JSON.stringify(sorted, null, 2)}\n`, 'w');

const formatted = written.filter((path) => path.endsWith('.ts'));
execFileSync(join(root, 'node_modules/.bin/biome'), ['check', '--write', ...formatted], {
  cwd: root,
  stdio: 'pipe',
});
console.log(`${written.join('\n')}\n\nnow: npm run generate`);
