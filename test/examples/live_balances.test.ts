// The dashboard of examples/live-balances in a real browser, whose EventSource follows a real server.
import { once } from 'node:events';
import type { Page } from 'playwright-core';
import { expect, onTestFinished, test } from 'vitest';
import { z } from 'zod';
import { createDashboard } from '../../examples/live-balances/serve.ts';
import { encodeId } from '../../src/id.ts';
import { startBrowser } from '../support/browser.ts';
import type { Client } from '../support/client.ts';
import { aKey, anAccount, aTenant, aTransaction, type TestTenant } from '../support/factories.ts';
import { freePort } from '../support/port.ts';
import { startProcess } from '../support/process.ts';
import { startServer } from '../support/server.ts';
import { waitFor } from '../support/wait.ts';

const server = await startServer();
const browser = await startBrowser();

const RollUpsSchema = z.object({
  data: z.array(
    z.looseObject({
      currency: z.string(),
      posted: z.looseObject({ debits: z.string(), credits: z.string() }),
      position: z.number(),
    }),
  ),
});

async function aBusyTenant(api_of: (tenant: TestTenant) => Client) {
  const tenant = await aTenant();
  const api = api_of(tenant);
  const alice = await anAccount(api, { code: 'customers:alice' });
  const cash = await anAccount(api, { code: 'assets:cash', type: 'asset' });
  const pay = (amount: string) => aTransaction(api, { debit: cash.id, credit: alice.id, amount });
  await pay('1');
  return { tenant, api, pay };
}

/** The dashboard's page in a window of its own. */
async function openPage(url: string, api_key: string, query = '?prefix=customers:'): Promise<Page> {
  const dashboard = await createDashboard({ url, api_key });
  dashboard.listen(0, '127.0.0.1');
  await once(dashboard, 'listening');
  const { port } = z.object({ port: z.number() }).parse(dashboard.address());
  const context = await browser.newContext();
  onTestFinished(async () => {
    await context.close();
    dashboard.closeAllConnections();
    dashboard.close();
  });
  const page = await context.newPage();
  await page.goto(`http://127.0.0.1:${port}/${query}`);
  return page;
}

const ShownSchema = z.object({
  connection: z.string(),
  position: z.coerce.number(),
  events: z.coerce.number(),
  rows: z.array(z.array(z.string())),
});

/** What the page shows: its rows, how it is connected, and how many events it has applied. */
async function shown(page: Page) {
  return ShownSchema.parse(
    await page.evaluate(`(() => {
      const text = (id) => document.getElementById(id).textContent;
      const rows = [...document.querySelectorAll('#balances tr')];
      return {
        connection: text('connection'),
        position: text('position'),
        events: text('events'),
        rows: rows.map(({ children }) => [...children].map(({ textContent }) => textContent)),
      };
    })()`),
  );
}

/** Cents as the page writes euros. */
const euros = (cents: string) =>
  cents
    .padStart(3, '0')
    .replace(/(\d\d)$/, '.$1')
    .replace(/\B(?=(\d{3})+\.)/g, ',');

async function recorded(api: Client) {
  const { data } = (await api.get('/v1/balances?code_prefix=customers:')).as(RollUpsSchema);
  return {
    position: data[0]?.position ?? 0,
    rows: data.map(({ currency, posted }) => [currency, euros(posted.debits), euros(posted.credits)]),
  };
}

async function becomes(page: Page, connection: string): Promise<void> {
  await waitFor(`the page is ${connection}`, async () => (await shown(page)).connection === connection, {
    timeout_ms: 20_000,
  });
}

test('between the snapshot and the stream nothing is missed or counted twice, while others post', async () => {
  const { tenant, api, pay } = await aBusyTenant((each) => server.client(each.api_key));
  let is_over = false;
  const posting = Array.from({ length: 4 }, async (_, poster) => {
    for (let amount = poster + 1; !is_over; amount += 4) await pay(String(amount));
  });
  const pages = [];
  for (let each = 0; each < 3; each += 1) pages.push(await openPage(server.url, tenant.api_key));
  for (const page of pages) {
    await waitFor('the page has heard of events', async () => (await shown(page)).events > 20, {
      timeout_ms: 20_000,
    });
  }
  is_over = true;
  await Promise.all(posting);
  const last = await recorded(api);
  for (const page of pages) {
    await waitFor('the page has come to the end', async () => (await shown(page)).position >= last.position);
    expect(await shown(page)).toMatchObject({ connection: 'live', ...last });
  }
}, 60_000);

test('without a prefix the page shows all accounts', async () => {
  const { tenant, pay } = await aBusyTenant((each) => server.client(each.api_key));
  for (const query of ['', '?prefix=']) {
    const page = await openPage(server.url, tenant.api_key, query);
    await becomes(page, 'live');
    const before = await shown(page);
    const [[currency = '', debits = '', credits = ''] = []] = before.rows;
    expect([currency, debits]).toEqual(['EUR', credits]);
    await pay('123456700');
    await waitFor('the posting is there', async () => (await shown(page)).position > before.position);
    const sum = euros(String(BigInt(debits.replace(/\D/g, '')) + 123_456_700n));
    expect((await shown(page)).rows).toEqual([['EUR', sum, sum]]);
  }
});

test('a page goes on where it was when the server is killed and starts again', async () => {
  const port = String(await freePort());
  const first = await startProcess({ PORT: port });
  const { tenant, api, pay } = await aBusyTenant((each) => first.client(each.api_key));
  const page = await openPage(first.url, tenant.api_key);
  await becomes(page, 'live');
  const before = await shown(page);
  for (let amount = 2; amount < 10; amount += 1) await pay(String(amount));
  await waitFor('the page has heard of them', async () => (await shown(page)).events === 8);
  await first.end('SIGKILL');
  await becomes(page, 'waiting');
  const second = await startProcess({ PORT: port });
  // Before the page is back, and after.
  for (let amount = 10; amount < 15; amount += 1) await pay(String(amount));
  await becomes(page, 'live');
  for (let amount = 15; amount < 20; amount += 1) await pay(String(amount));
  await waitFor('the page has heard of all', async () => (await shown(page)).events >= 18);
  expect(await shown(page)).toEqual({ connection: 'live', events: 18, ...(await recorded(api)) });
  expect((await shown(page)).position).toBe(before.position + 18);
  await second.end('SIGTERM');
  await becomes(page, 'waiting');
}, 90_000);

test('a page whose key is revoked hears of nothing more, and says so', async () => {
  const { tenant, api, pay } = await aBusyTenant((each) => server.client(each.api_key));
  const { api_key, actor_id } = await aKey(tenant.id, 'auditor');
  const page = await openPage(server.url, api_key);
  await becomes(page, 'live');
  const before = await shown(page);
  await api.post(`/v1/keys/${encodeId('key', actor_id)}/revocation`);
  await becomes(page, 'ended');
  await pay('5');
  expect(await shown(page)).toEqual({ ...before, connection: 'ended' });
}, 60_000);

test('an EventSource opens by a ticket, gets each event once with its position as id, and never a second stream', async () => {
  const { tenant, api, pay } = await aBusyTenant((each) => server.client(each.api_key));
  const page = await openPage(server.url, tenant.api_key);
  const path = '/v1/events/stream?types=ledger.transaction_posted';
  const ticket = (await api.post('/v1/stream_tickets', { path })).as(z.object({ url: z.string() }));
  // In the page, as text: it runs where there is a window.
  await page.evaluate(`
    window.heard = [];
    window.states = [];
    window.source = new EventSource(${JSON.stringify(`${ticket.url}&after=0`)});
    source.onmessage = ({ lastEventId, data }) => heard.push([lastEventId, JSON.parse(data).position]);
    source.onerror = () => states.push(source.readyState);
  `);
  await waitFor('it has heard of the first', () => page.evaluate('heard.length > 0'));
  const last = await pay('2');
  await waitFor('it has heard of the last', () => page.evaluate('heard.length > 1'));
  expect(await page.evaluate('heard')).toEqual([
    [String(last.position - 1), last.position - 1],
    [String(last.position), last.position],
  ]);
  // Again with the same ticket: refused, and closed for good.
  await page.evaluate(`window.again = new EventSource(${JSON.stringify(ticket.url)})`);
  await waitFor('it is refused', () => page.evaluate('again.readyState === EventSource.CLOSED'));
  expect(await page.evaluate('[source.readyState, states]')).toEqual([1, []]);
}, 60_000);
