import { setTimeout as delay } from 'node:timers/promises';
import { percentile } from '../histogram.ts';
import { cpuSeconds, peakMemoryMb } from '../machine.ts';
import { inTurn, RunFailed, runLoad, type Sides } from '../measure.ts';
import { note } from '../notes.ts';
import type { StreamResult } from '../protocol.ts';
import { cpuLine, median, type Row, rateRow, rounded, spreadLine, transactionsPerSecond } from '../report.ts';
import type { Stack } from '../stack.ts';
import { openStreams } from '../streaming.ts';
import { type Bench, type OpenTenant, postSingly, type Workload, withStack } from '../workload.ts';

const path = '/v1/events/stream';
const accountCode = (number: number) => `accounts:${String(number).padStart(5, '0')}`;

function latencyRow(workload: string, unit: string, value: number, { histogram }: StreamResult): Row {
  return {
    workload,
    value,
    unit,
    reference: null,
    ratio: null,
    p50_ms: rounded(percentile(histogram, 0.5), 1),
    p95_ms: rounded(percentile(histogram, 0.95), 1),
    p99_ms: rounded(percentile(histogram, 0.99), 1),
    errors: 0,
  };
}

/** One client for each of so many accounts: each hears of its own and of nothing else. */
function clientPerAccount(api_key: string, accounts: number) {
  return Array.from({ length: accounts }, (_, number) => ({
    api_key,
    target: `${path}?account=${accountCode(number)}`,
    count: 1,
  }));
}

export const stream_latency: Workload = {
  name: 'stream-latency',
  description:
    'from the instant recorded until a client has the event: 2,000 posts/s, 1,000 clients each with an account of its own, and one with everything',
  unit: 'ms p99',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('latency', 1_000);
      const rows: Row[] = [];
      const kinds = [
        { name: 'stream-latency', streams: clientPerAccount(tenant.api_key, 1_000), is_dense: false },
        {
          name: 'stream-latency-all',
          streams: [{ api_key: await stack.createKey(tenant.id), target: path, count: 10 }],
          is_dense: true,
        },
      ];
      for (const { name, streams, is_dense } of kinds) {
        const clients = await openStreams({ port: stack.port, streams, is_dense, until_position: null });
        const measurement = await runLoad(
          stack,
          [tenant],
          { kind: 'single', tenants: [traffic], hot: false },
          { ...bench, rate: 2_000 },
        );
        const result = await clients.stop();
        await clients.leave();
        const rate = transactionsPerSecond(measurement);
        note(
          `${name}: ${Math.round(rate)} posts/s, ${result.events} events over ${streams.length} kinds of streams`,
        );
        note(cpuLine([measurement]));
        if (rate < 1_900) throw new RunFailed(`only ${Math.round(rate)} posts/s`, 1);
        rows.push(latencyRow(name, 'ms p99', rounded(percentile(result.histogram, 0.99), 1), result));
      }
      return rows;
    }),
};

export const stream_10k: Workload = {
  name: 'stream-10k',
  description:
    '10,000 open streams without a filter, 5 events/s to all of them: memory of the process, and latency',
  unit: 'MB',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('many', 100);
      const keys: string[] = [];
      for (let each = 0; each < 10; each += 1) keys.push(await stack.createKey(tenant.id));
      const began = performance.now();
      const clients = await openStreams({
        port: stack.port,
        streams: keys.map((api_key) => ({ api_key, target: path, count: 1_000 })),
        is_dense: true,
        until_position: null,
      });
      note(`10,000 streams open after ${Math.round(performance.now() - began)} ms`);
      clients.measure();
      const cpu = () => ({ server: cpuSeconds(stack.server_pid), clients: cpuSeconds(clients.pid) });
      const before = cpu();
      const measurement = await runLoad(
        stack,
        [tenant],
        { kind: 'single', tenants: [traffic], hot: false },
        { ...bench, connections: 5, rate: 5 },
      );
      const after = cpu();
      const result = await clients.stop();
      note(`${result.events} events, ${Math.round(result.bytes / 1e6)} MB`);
      const each_us = (seconds: number) => rounded((seconds * 1e6) / result.events, 1);
      note(
        `CPU for each event of each client: server ${each_us(after.server - before.server)} µs, clients ${each_us(after.clients - before.clients)} µs`,
      );
      note(cpuLine([measurement]));
      const memory_mb = rounded(peakMemoryMb(stack.server_pid), 1);
      await clients.leave();
      return [latencyRow('stream-10k', 'MB', memory_mb, result)];
    }),
};

export const stream_catch_up: Workload = {
  name: 'stream-catch-up',
  description: 'a stream that resumes at the beginning of a log of 200,000 postings',
  unit: 'events/s',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('past', 1_000);
      const transactions = 1_000;
      await runLoad(
        stack,
        [tenant],
        { kind: 'bulk', tenant: traffic, transactions },
        { connections: 2, warmup_seconds: 0, seconds: 0, requests: 200 },
      );
      const rates: number[] = [];
      for (let round = 0; round < bench.rounds; round += 1) {
        const clients = await openStreams({
          port: stack.port,
          streams: [{ api_key: tenant.api_key, target: `${path}?after=0`, count: 1 }],
          is_dense: true,
          until_position: 200 * transactions,
        });
        const { events, seconds } = await clients.over;
        await clients.leave();
        rates.push(events / seconds);
      }
      note(spreadLine('events/s', rates));
      return [
        {
          workload: 'stream-catch-up',
          value: Math.round(median(rates)),
          unit: 'events/s',
          reference: null,
          ratio: null,
          p50_ms: null,
          p95_ms: null,
          p99_ms: null,
          errors: 0,
        },
      ];
    }),
};

export const stream_restart: Workload = {
  name: 'stream-restart',
  description: 'from kill -9 of the server until a client of its stream has the next event of the log',
  unit: 'ms',
  run: (bench) =>
    withStack(async (stack, open) => {
      const { tenant, traffic } = await open('again', 1_000);
      await runLoad(
        stack,
        [tenant],
        { kind: 'bulk', tenant: traffic, transactions: 1_000 },
        { connections: 2, warmup_seconds: 0, seconds: 0, requests: 20 },
      );
      const rounds: number[] = [];
      for (let round = 0; round < bench.rounds; round += 1) {
        const killed_at = performance.now();
        const [delivered_at] = await Promise.all([
          firstDelivery(`http://127.0.0.1:${stack.port}${path}?after=${round}`, tenant.api_key),
          stack.restart(),
        ]);
        rounds.push(delivered_at - killed_at);
      }
      note(spreadLine('ms', rounds));
      return [
        {
          workload: 'stream-restart',
          value: Math.round(median(rounds)),
          unit: 'ms',
          reference: null,
          ratio: null,
          p50_ms: null,
          p95_ms: null,
          p99_ms: null,
          errors: 0,
        },
      ];
    }),
};

/** Tries until a stream opens, and answers when its first event is there. */
async function firstDelivery(url: string, api_key: string): Promise<number> {
  for (;;) {
    const delivered_at = await deliveredAt(url, api_key).catch((error: unknown) => {
      // It does not listen yet, or the one that did is gone.
      if (error instanceof TypeError) return null;
      throw error;
    });
    if (delivered_at !== null) return delivered_at;
    await delay(10);
  }
}

/** When the first event of a stream is there; null when the stream ends before that. */
async function deliveredAt(url: string, api_key: string): Promise<number | null> {
  const response = await fetch(url, { headers: { Authorization: `Bearer ${api_key}` } });
  const decoder = new TextDecoder();
  let text = '';
  for await (const chunk of response.body ?? []) {
    text += decoder.decode(chunk, { stream: true });
    if (response.ok && text.includes('\ndata: ')) return performance.now();
  }
  return null;
}

export const stream_posting: Workload = {
  name: 'stream-posting',
  description:
    'single posts while 1,000 clients each follow an account and all consumers run, against a process without either',
  unit: 'transactions/s',
  // What was started first stays some 5 to 10 % slower than its like, code and load being the same: each side is first in half of the rounds.
  run: async (bench) => {
    const half = { ...bench, rounds: Math.ceil(bench.rounds / 2) };
    const alone = { CONSUMERS: 'off' };
    const first = await withStack(async (stack, open) => {
      const followed = await open('with', 10_000);
      return withStack(async (other, openOther) => {
        const without = await openOther('without', 10_000);
        return postBesideClients(half, [stack, followed], [other, without]);
      }, alone);
    });
    const second = await withStack(async (other, openOther) => {
      const without = await openOther('without', 10_000);
      return withStack(async (stack, open) => {
        const followed = await open('with', 10_000);
        return postBesideClients(half, [stack, followed], [other, without]);
      });
    }, alone);
    return [rateRow('stream-posting', first, second)];
  },
};

type Place = [stack: Stack, opened: OpenTenant];

async function postBesideClients(
  bench: Bench,
  [stack, followed]: Place,
  [alone, without]: Place,
): Promise<Sides> {
  const sides = await inTurn(
    bench.rounds,
    () => postSingly(bench, alone, [without]),
    async () => {
      const clients = await openStreams({
        port: stack.port,
        streams: clientPerAccount(followed.tenant.api_key, 1_000),
        is_dense: false,
        until_position: null,
      });
      const measurement = await postSingly(bench, stack, [followed]);
      const result = await clients.stop();
      await clients.leave();
      note(`${result.events} events, p99 ${rounded(percentile(result.histogram, 0.99), 1)} ms`);
      return measurement;
    },
  );
  note(spreadLine('without', sides.baseline.map(transactionsPerSecond)));
  note(spreadLine('with', sides.subject.map(transactionsPerSecond)));
  return sides;
}
