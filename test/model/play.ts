// Plays intents against the real API and the model side by side, one request at a time, and says where they part.
import { isDeepStrictEqual } from 'node:util';
import type { Answer, Client } from '../support/client.ts';
import { BulkAnswer, EventPage, type EventShape, receiptOf, Subject } from './answers.ts';
import { type Command, type Effect, type Outcome, ReferenceApi } from './api.ts';
import type { Intent } from './commands.ts';
import type { Refusal } from './facts.ts';
import { clockNow, parseInstant } from './instant.ts';
import { instantsBetween } from './ledger.ts';
import { lookAt } from './looks.ts';
import { account_groups, commandOf, opening_bulk, type Request, requestOf } from './requests.ts';
import { objectionToRefusal, shown, verdictOn } from './verdict.ts';
import { accountView, transactionView } from './views.ts';

interface Sent {
  command: Command;
  request: Request;
  key: string;
  answer: Answer;
  stored: boolean;
}

const scales = new Map([
  ['EUR', 2],
  ['JPY', 0],
  ['WEI', 18],
]);

export class Play {
  readonly client: Client;
  readonly api: ReferenceApi;
  /** the newest position of the log that the model has taken in */
  position = 0;
  /** position → recorded_at, for viewpoints */
  readonly recorded = new Map<number, bigint>();
  /** of what came after the opening, which is always the same */
  readonly transcript: string[] = [];
  /** outcome → how often, over all plays */
  readonly met: Map<string, number>;
  readonly #sent: Sent[] = [];
  readonly #item_results = new Map<string, unknown>();

  constructor(client: Client, met: Map<string, number>) {
    this.client = client;
    this.met = met;
    this.api = new ReferenceApi(scales);
  }

  /** Opens the accounts of every history. What the log held before is not the model's. */
  async begin(): Promise<void> {
    await this.client.post('/v1/assets', { currency: 'WEI', name: 'Wei', scale: 18 });
    this.position = (await this.#readLog()).at(-1)?.position ?? 0;
    for (const body of account_groups.flat()) await this.#send({ verb: 'create_account', body }, false);
    await this.#send({ verb: 'bulk', body: opening_bulk }, false);
    this.transcript.length = 0;
  }

  async step(intent: Intent): Promise<void> {
    switch (intent.does) {
      case 'repeat':
        return this.#repeat(intent.of, intent.changed);
      case 'wait':
        return this.#waitForExpiry();
      case 'look':
        for (const look of intent.looks) await lookAt(this, look);
        return;
      default: {
        const command = commandOf(intent, { ledger: this.api.ledger, now: clockNow() });
        if (command !== null) await this.#send(command, 'dry_run' in intent && intent.dry_run);
      }
    }
  }

  count(outcome: string): void {
    this.met.set(outcome, (this.met.get(outcome) ?? 0) + 1);
  }

  note(line: string): void {
    this.transcript.push(line);
  }

  async #send(command: Command, dry_run: boolean): Promise<void> {
    const request = requestOf(command, dry_run);
    const key = `k-${this.#sent.length}`;
    const from = clockNow();
    const answer = await this.client.send(request.method, request.path, request.body, { key });
    const until = clockNow() + 1_000n;
    this.note(
      `${request.method} ${request.path} ${JSON.stringify(request.body)}\n  → ${answer.status} ${answer.text}`,
    );
    const events = await this.#readLog();
    const own = events.filter((event) => !this.#isExpiry(event, events));
    const verdict = verdictOn(this.api, {
      ...{ command, dry_run, answer, from, until, events: own },
      item_results: this.#item_results,
    });
    if ('objection' in verdict) this.#fail(verdict.objection);
    const { outcome } = verdict;
    this.count(outcome.kind === 'refused' ? outcome.refusal.code : dry_run ? 'dry_run' : command.verb);
    const stored = !dry_run && isStored(answer.status);
    this.#sent.push({ command, request, key, answer, stored });
    if (stored) this.api.keep(key);
    if (!dry_run) this.#take(command, outcome, answer, own);
    for (const event of events) this.recorded.set(event.position, parseInstant(event.recorded_at));
    this.position = events.at(-1)?.position ?? this.position;
    if (!dry_run) await this.#compareWritten(outcome, own);
  }

  /** The log after what is known: dense, in order, and never back in time. */
  async #readLog(): Promise<EventShape[]> {
    const events: EventShape[] = [];
    for (;;) {
      const after = this.position + events.length;
      const page = (await this.client.get(`/v1/events?after=${after}&limit=200`)).as(EventPage);
      for (const event of page.data) {
        if (event.position !== this.position + events.length + 1)
          this.#fail(`a gap before ${event.position}`);
        events.push(event);
      }
      if (!page.has_more) return events;
    }
  }

  /** The expiry of a hold may be noted in the log at any time after it. */
  #isExpiry(event: EventShape, events: EventShape[]): boolean {
    if (event.type !== 'ledger.transaction_expired') return false;
    const hold = this.api.ledger.transactions.get(event.subject);
    if (hold === undefined) return events.some((other) => other.type === 'ledger.transaction_held');
    const status = this.api.ledger.holdStatus(hold, parseInstant(event.recorded_at));
    if (status !== 'expired') this.#fail(`${event.subject} is said to expire and is ${status}`);
    return true;
  }

  /** Takes into the model what the log has taken. */
  #take(command: Command, outcome: Outcome, answer: Answer, events: EventShape[]): void {
    if (outcome.kind === 'accepted') {
      const [event] = events;
      if (event !== undefined) this.api.record(outcome.effect, receiptOf(event));
    } else if (outcome.kind === 'bulk' && command.verb === 'bulk') {
      const effects = outcome.items.flatMap((item) => (item.kind === 'accepted' ? [item.effect] : []));
      for (const [i, event] of events.entries()) {
        const effect = effects[i];
        if (effect !== undefined) this.api.record(effect, receiptOf(event));
      }
      this.api.recordItems(command.body, outcome.items);
      this.#keepItemResults(command.body, BulkAnswer.parse(answer.body).results);
    }
  }

  #keepItemResults(body: unknown, results: unknown[]): void {
    for (const [i, key] of this.api.itemKeys(body).entries()) {
      if (key !== null && !this.#item_results.has(key)) this.#item_results.set(key, results[i]);
    }
  }

  /** Reads back everything that the command wrote or changed, whole. */
  async #compareWritten(outcome: Outcome, events: EventShape[]): Promise<void> {
    const effects: Effect[] =
      outcome.kind === 'accepted'
        ? [outcome.effect]
        : outcome.kind === 'bulk'
          ? outcome.items.flatMap((item) => (item.kind === 'accepted' ? [item.effect] : []))
          : [];
    for (const [i, effect] of effects.entries()) {
      const event = events[i];
      if (event === undefined) continue;
      if (effect.kind === 'account_created' || effect.kind === 'account_changed') {
        await this.compareAccount(event.subject);
        continue;
      }
      await this.compareTransaction(event.subject);
      if (effect.kind !== 'posting') continue;
      const { captures, reverses } = effect.posting;
      if (captures !== null) await this.compareTransaction(captures);
      if (reverses !== null) await this.compareTransaction(reverses);
    }
  }

  async compareTransaction(id: string): Promise<void> {
    const from = clockNow();
    const answer = await this.client.get(`/v1/transactions/${id}`);
    const until = clockNow() + 1_000n;
    const read = Subject.parse(answer.body);
    const views = instantsBetween(this.api.ledger, from, until).map((now) =>
      transactionView(this.api.ledger, id, now),
    );
    this.#expectOneOf(`GET /v1/transactions/${id}`, read, views);
  }

  async compareAccount(id: string): Promise<void> {
    const answer = await this.client.get(`/v1/accounts/${id}`);
    this.#expectOneOf(`GET /v1/accounts/${id}`, Subject.parse(answer.body), [
      accountView(this.api.ledger, id),
    ]);
  }

  /** Fields that the model does not know, such as the actor, are not compared. */
  #expectOneOf(what: string, read: Record<string, unknown>, views: Record<string, unknown>[]): void {
    const alike = (view: Record<string, unknown>) =>
      Object.fromEntries(Object.keys(view).map((field) => [field, normal(read[field])]));
    if (views.some((view) => isDeepStrictEqual(alike(view), view))) return;
    const [view = {}] = views;
    this.note(`${what} → ${JSON.stringify(read)}`);
    this.fail(what, alike(view), view);
  }

  async #repeat(of: number, changed: 'nothing' | 'body' | 'path' | 'key'): Promise<void> {
    const sent = this.#sent.filter((each) => each.stored);
    const before = sent.at(-1 - (of % Math.max(1, sent.length)));
    if (before === undefined) return;
    if (changed === 'key') return this.#send(before.command, false);
    const { request, key } = before;
    const path = changed === 'path' ? '/v1/transactions/bulk' : request.path;
    const body = changed === 'body' ? { ...Object(request.body), again: 'differently' } : request.body;
    const answer = await this.client.send(changed === 'path' ? 'POST' : request.method, path, body, { key });
    this.note(`again ${key} (${changed} changed)\n  → ${answer.status} ${answer.text}`);
    const events = (await this.#readLog()).filter((event, _, all) => !this.#isExpiry(event, all));
    if (events.length > 0) this.#fail('a replay wrote events');
    const differs = changed === 'body' || (changed === 'path' && path !== request.path);
    if (differs) {
      const objection = objectionToRefusal(reused, answer.status, answer.body);
      if (objection !== null) this.#fail(objection);
      return;
    }
    if (answer.status !== before.answer.status || answer.text !== before.answer.text) {
      this.#fail(`not the same bytes as\n${before.answer.text}`);
    }
    this.count('replayed');
    if (answer.headers.get('idempotent-replayed') !== 'true') this.#fail('no Idempotent-Replayed: true');
  }

  /** Waits until the next hold that ends within a second and a half has ended, reading its account over the boundary. */
  async #waitForExpiry(): Promise<void> {
    const { ledger } = this.api;
    const now = clockNow();
    const next = [...ledger.transactions.values()]
      .filter((each) => each.expires_at !== null && ledger.holdStatus(each, now) === 'pending')
      .filter((each) => each.expires_at !== null && each.expires_at < now + 1_500_000n)
      .sort((a, b) => Number((a.expires_at ?? 0n) - (b.expires_at ?? 0n)))[0];
    const account_id = next?.entries[0]?.account_id;
    if (next === undefined || account_id === undefined || next.expires_at === null) return;
    const account = [...ledger.accounts.keys()].indexOf(account_id);
    while (clockNow() <= next.expires_at)
      await lookAt(this, { at: 'balance', account, as_of: null, known_at: null });
    await this.compareTransaction(next.id);
  }

  fail(what: string, read: unknown, expected: unknown): never {
    return this.#fail(`${what}\nanswers ${shown(read)}\nthe model says ${shown(expected)}`);
  }

  #fail(reason: string): never {
    throw new Error(`${reason}\n\nafter\n${this.transcript.slice(-40).join('\n')}`);
  }
}

const reused: Refusal = { status: 422, code: 'idempotency_key_reused', pointer: null, extras: {} };

function isStored(status: number): boolean {
  return status < 300 || status === 409 || status === 422;
}

/** Instants are compared as instants, whatever their decimals. */
function normal(value: unknown): unknown {
  const is_instant = typeof value === 'string' && /^\d{4}-\d\d-\d\dT.*Z$/.test(value);
  return is_instant ? parseInstant(value) : value;
}
