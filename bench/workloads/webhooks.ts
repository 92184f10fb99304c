import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { z } from 'zod';
import { RunFailed } from '../measure.ts';
import { note } from '../notes.ts';
import { median, type Row, rounded, spreadLine } from '../report.ts';
import { Stack } from '../stack.ts';
import { ReceiverReportSchema } from '../webhook_receiver_report.ts';
import type { Bench, Workload } from '../workload.ts';

type Report = z.infer<typeof ReceiverReportSchema>;

/** for the rate: events at once to one tenant's few healthy endpoints */
const burst = 1_000;
const bursts = 3;
const healthy_endpoints = 10;
/** for the delay: some 500 deliveries a second to 1,000 endpoints, of which 1 % hang */
const tenants = 10;
const endpoints_per_tenant = 100;
const events_per_second = 5;
const patience_ms = 120_000;

export const webhooks: Workload = {
  name: 'webhooks',
  description: `webhooks: events of a burst to ${healthy_endpoints} healthy endpoints; then ${events_per_second * endpoints_per_tenant} deliveries/s to ${tenants * endpoints_per_tenant} endpoints of which 1 % hang`,
  unit: 'deliveries/s',
  run: async (bench) => {
    const receiver = fork(join(import.meta.dirname, '..', 'webhook_receiver.ts'));
    const { port } = await told(receiver);
    const stack = await Stack.start();
    try {
      note(await stack.describePostgres());
      return [await rate(bench, stack, receiver, port), await delays(bench, stack, receiver, port)];
    } finally {
      await stack.stop();
      receiver.kill();
    }
  },
};

async function rate(bench: Bench, stack: Stack, receiver: ChildProcess, port: number): Promise<Row> {
  const api = await openHooked(stack, 'webhooks', port, healthy_endpoints, 0);
  const transactions = Array.from({ length: burst }, () => transaction);
  const rates: number[] = [];
  for (let round = 0; round < bench.rounds; round += 1) {
    await ask(receiver, 'begin');
    for (let each = 0; each < bursts; each += 1) {
      await api('/v1/transactions/bulk', { atomic: true, transactions });
    }
    const report = await received(receiver, burst * bursts * healthy_endpoints);
    rates.push((report.received / (report.last_at_ms - report.first_at_ms)) * 1_000);
  }
  note(spreadLine('deliveries/s', rates));
  return row('webhooks-rate', Math.round(median(rates)), 'deliveries/s', null);
}

async function delays(bench: Bench, stack: Stack, receiver: ChildProcess, port: number): Promise<Row> {
  const apis: Api[] = [];
  for (let number = 0; number < tenants; number += 1) {
    apis.push(await openHooked(stack, `hooked-${number}`, port, endpoints_per_tenant, 1));
  }
  // Before the clock starts those that hang have learnt to hang.
  for (const api of apis) await api('/v1/transactions', transaction);
  await received(receiver, tenants * (endpoints_per_tenant - 1));
  await ask(receiver, 'begin');
  const began_ms = performance.now();
  let events = 0;
  for (; events < bench.seconds * events_per_second; events += 1) {
    await delay(Math.max(0, began_ms + (events * 1_000) / events_per_second - performance.now()));
    await apis[events % tenants]?.('/v1/transactions', transaction);
  }
  const report = await received(receiver, events * (endpoints_per_tenant - 1));
  const delivered = report.received / ((report.last_at_ms - report.first_at_ms) / 1_000);
  note(`${Math.round(delivered)} deliveries/s, each measured from its commit to its arrival`);
  const p99_ms = at(report, 0.99);
  return row('webhooks-delay', rounded(p99_ms, 1), 'ms, p99', report);
}

function row(workload: string, value: number, unit: string, report: Report | null): Row {
  const shown = (part: number) => (report === null ? null : rounded(at(report, part), 1));
  return {
    workload,
    value,
    unit,
    reference: null,
    ratio: null,
    p50_ms: shown(0.5),
    p95_ms: shown(0.95),
    p99_ms: shown(0.99),
    errors: 0,
  };
}

function at({ delays_ms }: Report, part: number): number {
  const found = delays_ms[Math.min(delays_ms.length - 1, Math.floor(delays_ms.length * part))];
  if (found === undefined) throw new RunFailed('nothing was received', 1);
  return found;
}

const transaction = {
  entries: [
    { account: 'accounts:a', direction: 'debit', amount: '100' },
    { account: 'accounts:b', direction: 'credit', amount: '100' },
  ],
};

type Api = (path: string, body: unknown) => Promise<void>;

/** A tenant with endpoints, the last of which hang. */
async function openHooked(
  stack: Stack,
  slug: string,
  port: number,
  endpoints: number,
  hanging: number,
): Promise<Api> {
  const { api_key } = await stack.createTenant(slug);
  const api: Api = async (path, body) => {
    const response = await fetch(`http://127.0.0.1:${stack.port}${path}`, {
      method: 'POST',
      headers: {
        Authorization: `Bearer ${api_key}`,
        'Content-Type': 'application/json',
        'Idempotency-Key': crypto.randomUUID(),
      },
      body: JSON.stringify(body),
    });
    const text = await response.text();
    if (response.status !== 201) throw new RunFailed(`POST ${path} answered ${response.status}: ${text}`, 1);
  };
  for (const code of ['accounts:a', 'accounts:b']) {
    await api('/v1/accounts', { code, type: 'liability', currency: 'EUR' });
  }
  for (let number = 0; number < endpoints; number += 1) {
    const path = number < endpoints - hanging ? 'healthy' : 'hang';
    const types = ['ledger.transaction_posted'];
    await api('/v1/webhook_endpoints', { url: `http://127.0.0.1:${port}/${path}/${slug}/${number}`, types });
  }
  return api;
}

async function told(receiver: ChildProcess): Promise<Report> {
  const [message] = await once(receiver, 'message');
  return ReceiverReportSchema.parse(message);
}

async function ask(receiver: ChildProcess, question: 'begin' | 'read'): Promise<Report> {
  const answer = told(receiver);
  receiver.send(question);
  return answer;
}

async function received(receiver: ChildProcess, count: number): Promise<Report> {
  const deadline = performance.now() + patience_ms;
  for (;;) {
    const report = await ask(receiver, 'read');
    if (report.received >= count) return report;
    if (performance.now() > deadline) {
      throw new RunFailed(`${report.received} of ${count} deliveries arrived`, count - report.received);
    }
    await delay(250);
  }
}
