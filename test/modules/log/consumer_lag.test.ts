// Of many tenants, the lag of the consumers is read of those that matter and of the others in turn.
import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { Database } from '../../../src/db.ts';
import { newUuid } from '../../../src/id.ts';
import { createLogger } from '../../../src/log.ts';
import { ConsumerLag } from '../../../src/modules/log/consumer_lag.ts';
import type { ListTenants } from '../../../src/modules/log/known_tenants.ts';
import { Wakes } from '../../../src/modules/log/wakes.ts';
import { atEnd, databaseUrl } from '../../support/database.ts';
import { aTenant } from '../../support/factories.ts';
import { waitFor } from '../../support/wait.ts';
import { append, effectConsumer } from './following.ts';

/** a turn and a bit, all of them empty logs */
const silent = Array.from({ length: 510 }, () => newUuid());

/** What a scrape says of one consumer that never ran, among these tenants. */
async function watching(tenant_ids: string[]) {
  const own = new Database({
    connection_string: databaseUrl('lattice_app'),
    size: 4,
    application_name: 'lattice test, watching',
    logger: createLogger('silent'),
  });
  const logger = createLogger('silent');
  const metrics = new Registry();
  const wakes = new Wakes({ database: own, connection_string: databaseUrl('lattice_app'), logger, metrics });
  const pages: number[] = [];
  const listTenants: ListTenants = async ({ after, row_limit }) => {
    const begin = after === null ? 0 : tenant_ids.indexOf(after) + 1;
    const page = tenant_ids.slice(begin, begin + row_limit);
    pages.push(page.length);
    return page;
  };
  const consumers = [effectConsumer(own, 'never')];
  const lag = new ConsumerLag({
    database: own,
    logger,
    metrics,
    wakes,
    consumers: () => consumers,
    listTenants,
  });
  lag.start();
  let ending: Promise<void> | null = null;
  const end = () => {
    lag.stop();
    ending ??= own.end();
    return ending;
  };
  atEnd(end);
  const events = async () => {
    const found = /lattice_consumer_lag_events\{consumer="never"\} (\d+)/.exec(await metrics.metrics());
    return found === null ? null : Number(found[1]);
  };
  return { own, metrics, events, pages, end };
}

test('all tenants are looked at first, then those whose logs grow, and the others in turn', async () => {
  const [heard, unheard] = [await aTenant(), await aTenant()];
  const before = Math.max(await append(heard, 30), await append(unheard, 40));
  const { own, events, pages } = await watching([...silent, heard.id, unheard.id]);
  expect(await events()).toBe(before);
  expect(pages).toEqual([500, 12]);

  // What lags is looked at again each time, and so is what has grown: the next turn begins with others.
  const grown = await append(heard, 100, own);
  await waitFor('it has read again', async () => (await events()) === grown);
  expect(pages).toEqual([500, 12, 500]);
});

test('what nobody has told of is found in its turn', async () => {
  const other = await aTenant();
  // With a log that is still empty, so that it is not among those that lag.
  const id = newUuid();
  const tenant = { ...other, id, actor: { ...other.actor, tenant_id: id } };
  const { events, pages } = await watching([...silent, id]);
  const before = await events();
  const lagging = await append(tenant, 200);
  expect(lagging).toBeGreaterThan(before ?? 0);
  await waitFor('its turn has come', async () => (await events()) === lagging);
  expect(pages).toEqual([500, 11, 500, 11]);
});

test('of what cannot be read nothing is told, rather than that nothing lags', async () => {
  const { metrics, events, end } = await watching([]);
  await end();
  expect(await events()).toBeNull();
  expect(await metrics.metrics()).toContain('# TYPE lattice_consumer_lag_seconds gauge');
});
