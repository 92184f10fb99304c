// What the runbooks tell an operator to watch is there to be watched: an alarm on a metric that nobody has is an alarm that never fires.
import { expect, test } from 'vitest';
import { startServer } from './support/server.ts';
import { listFiles, readSource } from './support/source.ts';
import { waitFor } from './support/wait.ts';

interface Named {
  page: string;
  metric: string;
  /** names, and values where the page gives one */
  labels: { name: string; value: string | null }[];
}

const pages = listFiles().filter((path) => /^docs\/runbooks\/.*\.md$/.test(path));

/** The metrics in a text, in whatever expression. */
function metricsIn(page: string, text: string): Named[] {
  return [...text.matchAll(/\b((?:lattice|nodejs|process)_[a-z0-9_]+)(?:\{([^}]*)\})?/g)].map(
    ([, metric = '', labels = '']) => ({
      page,
      metric,
      labels: [...labels.matchAll(/(\w+)(?:(=~?)"([^"]*)")?/g)].map(([, name = '', operator, value]) => ({
        name,
        value: operator === '=' ? (value ?? null) : null,
      })),
    }),
  );
}

/** Of the rows of tables whose first column is of metrics, the first cells. */
function tabled(page: string, isWanted: (head: string) => boolean): Named[] {
  const tables = readSource(page).text.matchAll(/^(\| metric \|.*)\n\| ---.*\n((?:\|.*\n?)+)/gm);
  return [...tables].flatMap(([, head = '', rows = '']) =>
    isWanted(head)
      ? rows.split('\n').flatMap((row) => metricsIn(page, /^\| (.*?) \|/.exec(row)?.[1] ?? ''))
      : [],
  );
}

const named = pages.flatMap((page) => tabled(page, () => true));
const expressions = pages.flatMap((page) =>
  [...readSource(page).text.matchAll(/^ +expr: (.*)$/gm)].flatMap(([, text = '']) => metricsIn(page, text)),
);
const alarms = [
  ...pages.flatMap((page) => tabled(page, (head) => head.includes('| alarm |'))),
  ...expressions,
];

const servers = {
  'that follows': await startServer(),
  'with CONSUMERS=off': await startServer({ CONSUMERS: 'off' }),
};

async function metricsOf(server: { url: string }): Promise<string[]> {
  // Requests are counted once they are answered.
  await fetch(`${server.url}/v1/me`);
  const text = await waitFor('the request is counted', async () => {
    const answer = await (await fetch(`${server.url}/metrics`)).text();
    return answer.includes('lattice_http_request_seconds_count{') && answer;
  });
  return text.split('\n');
}

function isSample(line: string, { metric, labels }: Named): boolean {
  if (!/[{ ]/.test(line.charAt(metric.length)) || !line.startsWith(metric)) return false;
  return labels.every(({ name, value }) => new RegExp(`[{,]${name}="${value ?? '[^"]*'}"`).test(line));
}

test('the runbooks name metrics, and those of alarms', () => {
  expect(named.length).toBeGreaterThan(40);
  expect(alarms.length).toBeGreaterThan(15);
  expect(new Set(expressions.map(({ page }) => page)).size).toBeGreaterThan(1);
});

test.each(Object.entries(servers))(
  'a fresh server %s has each metric of an alarm, with its labels',
  async (_, server) => {
    const lines = await metricsOf(server);
    expect(alarms.filter((alarm) => !lines.some((line) => isSample(line, alarm)))).toEqual([]);
    const unheard = {
      page: '',
      metric: 'lattice_consumer_lag_seconds',
      labels: [{ name: 'tenant', value: null }],
    };
    expect(lines.some((line) => isSample(line, unheard))).toBe(false);
  },
);

test('a fresh server knows each metric that a runbook names', async () => {
  const lines = await metricsOf(servers['that follows']);
  const known = new Set(lines.map((line) => /^# TYPE (\S+)/.exec(line)?.[1]));
  const isKnown = ({ metric }: Named) =>
    known.has(metric) || known.has(metric.replace(/_(count|sum|bucket)$/, ''));
  expect(named.filter((each) => !isKnown(each))).toEqual([]);
  expect(isKnown({ page: '', metric: 'lattice_consumer_age_seconds', labels: [] })).toBe(false);
});

test('each counter of an alarm begins at 0, with all values of its labels', async () => {
  const lines = await metricsOf(servers['that follows']);
  const counters = new Set(alarms.map(({ metric }) => metric).filter((metric) => metric.endsWith('_total')));
  const others = ['lattice_consumer_failures_total', 'lattice_wake_messages_total'];
  const samples = lines.filter((line) =>
    [...counters, ...others].some((name) => line.startsWith(`${name}{`)),
  );
  expect(samples.map((line) => line.replace(/(="sent"\}) \d+/, '$1 0'))).toMatchInlineSnapshot(`
    [
      "lattice_wake_messages_total{outcome="sent"} 0",
      "lattice_wake_messages_total{outcome="failed"} 0",
      "lattice_rebuild_differences_total{projection="balances"} 0",
      "lattice_rebuild_differences_total{projection="balances_daily"} 0",
      "lattice_rebuild_differences_total{projection="invoices"} 0",
      "lattice_rebuild_differences_total{projection="reports"} 0",
      "lattice_webhook_endpoints_disabled_total{reason="gone"} 0",
      "lattice_webhook_endpoints_disabled_total{reason="failing"} 0",
      "lattice_consumer_failures_total{consumer="balances"} 0",
      "lattice_consumer_failures_total{consumer="balances_daily"} 0",
      "lattice_consumer_failures_total{consumer="invoices"} 0",
      "lattice_consumer_failures_total{consumer="reports"} 0",
      "lattice_consumer_failures_total{consumer="blocks"} 0",
      "lattice_consumer_failures_total{consumer="webhooks"} 0",
    ]
  `);
});
