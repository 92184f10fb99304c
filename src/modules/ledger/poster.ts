// The group commit. Commands of one tenant wait while the tenant's previous batch is in flight, then go to Postgres together, as one
// statement that is one transaction; plain batches of several tenants share it. Each command succeeds or fails on its own; an atomic
// group is a batch of its own. While one call is in the database, the process answers the one before and reads the next.
//
// Per tenant there are two lanes that take turns within each batch, so that a bulk request does not make single ones wait. Between
// tenants the turns go round. Queues are bounded: beyond them a command is refused with 503 before anything was done.
import type { Registry } from 'prom-client';
import { type Database, waitedForLock } from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { AccountCache } from './account_cache.ts';
import type { Command, Outcome } from './command.ts';
import {
  answerUnits,
  commandCount,
  type Lane,
  newQueue,
  type TenantBatch,
  type TenantQueue,
  takeBatch,
  type Unit,
} from './lanes.ts';
import { LimitedBalances } from './limited_balances.ts';
import { concludeBatch, lastPosition, preparedOutcome, refusedOutcomes, renderAnswer } from './outcomes.ts';
import { type OfferEvents, ownEvents } from './own_events.ts';
import { type Batch, type BatchResult, postBatch, postBatches } from './posting_batch.ts';
import { PostingMetrics } from './posting_metrics.ts';
import { batchCommand, prepareSteps, type Step } from './steps.ts';

const max_waiting_per_tenant = 20_000;
const max_waiting = 60_000;
/** of batches that cannot share a call: follow-ups, atomic groups, dry runs; so that a large one of one tenant does not stop the others */
const max_alone_in_flight = 3;
/** so that one call stays short, however many tenants wait */
const max_tenants_per_call = 32;
/** balances of limited accounts that one batch learns for later ones, under the tenant's lock */
const learnt_per_batch = 32;

export class Poster {
  readonly #database: Database;
  readonly #accounts: AccountCache;
  readonly #offerEvents: OfferEvents;
  readonly #balances = new LimitedBalances();
  readonly #queues = new Map<string, TenantQueue>();
  /** tenants with something to do and nothing in flight, in turn */
  readonly #ready: TenantQueue[] = [];
  readonly #metrics: PostingMetrics;
  readonly #idle_waiters: (() => void)[] = [];
  /** whether the call of the plain batches is in the database */
  #is_posting = false;
  /** calls whose commands are posted, and about to be answered */
  #answering = 0;
  /** batches that are in the database each by itself, and those that wait for that */
  #alone = 0;
  readonly #alone_waiting: TenantBatch[] = [];
  #waiting = 0;
  #stopped = false;

  constructor(database: Database, accounts: AccountCache, metrics: Registry, offerEvents: OfferEvents) {
    this.#database = database;
    this.#accounts = accounts;
    this.#offerEvents = offerEvents;
    this.#metrics = new PostingMetrics(metrics, () => this.#waiting);
  }

  /** One command. Resolves when its outcome is durable. Throws `overloaded`, or `unavailable` when the outcome is unknown. */
  async submit(tenant_id: string, command: Command, lane: Lane = 'single'): Promise<Outcome> {
    const [outcome] = await this.#enqueue(
      tenant_id,
      { commands: [command], atomic: false, dry_run: false },
      lane,
    );
    if (outcome === undefined) throw new Error('a command without outcome');
    return outcome;
  }

  /** All of them or none; the outcomes of a refused group say which command was the culprit. */
  async submitAtomic(tenant_id: string, commands: Command[]): Promise<Outcome[]> {
    return this.#enqueue(tenant_id, { commands, atomic: true, dry_run: false }, 'bulk');
  }

  /** What would become of them, in order, each on the ones before it. Writes nothing. */
  async evaluate(tenant_id: string, commands: Command[]): Promise<Outcome[]> {
    return this.#enqueue(tenant_id, { commands, atomic: false, dry_run: true }, 'bulk');
  }

  /** Takes nothing new, and resolves when what was taken is answered. */
  async stop(): Promise<void> {
    this.#stopped = true;
    if (this.#isIdle()) return;
    await new Promise<void>((resolve) => this.#idle_waiters.push(resolve));
  }

  #enqueue(tenant_id: string, unit: Omit<Unit, 'resolve' | 'reject'>, lane: Lane): Promise<Outcome[]> {
    const queue = this.#queues.get(tenant_id) ?? newQueue(tenant_id);
    const count = unit.commands.length;
    if (
      this.#stopped ||
      this.#waiting + count > max_waiting ||
      queue.waiting + count > max_waiting_per_tenant
    ) {
      throw new Problem('overloaded', 'Too many postings are waiting; retry with the same Idempotency-Key', {
        headers: { 'Retry-After': '1' },
      });
    }
    this.#queues.set(tenant_id, queue);
    this.#waiting += count;
    queue.waiting += count;
    return new Promise((resolve, reject) => {
      queue.lanes[lane].push({ ...unit, resolve, reject });
      this.#offer(queue);
    });
  }

  /** Puts a tenant in turn, and starts batches as long as there is room. */
  #offer(queue: TenantQueue): void {
    if (queue.waiting === 0 && !queue.in_flight) this.#queues.delete(queue.tenant_id);
    if (queue.waiting > 0 && !queue.in_flight && !queue.in_turn) {
      queue.in_turn = true;
      this.#ready.push(queue);
    }
    this.#startNext();
  }

  #startNext(): void {
    while (this.#alone < max_alone_in_flight) {
      const next = this.#alone_waiting.shift();
      if (next === undefined) break;
      void this.#runAlone(next);
    }
    if (!this.#is_posting && this.#ready.length > 0) {
      void this.#runTogether(this.#ready.splice(0, max_tenants_per_call).map((queue) => this.#take(queue)));
    }
    if (!this.#isIdle()) return;
    for (const resolve of this.#idle_waiters.splice(0)) resolve();
  }

  #isIdle(): boolean {
    const is_calling = this.#is_posting || this.#alone > 0 || this.#alone_waiting.length > 0;
    return this.#waiting === 0 && !is_calling && this.#answering === 0;
  }

  /** The next batch of a tenant, which from now on is in flight. */
  #take(queue: TenantQueue): TenantBatch {
    const units = takeBatch(queue);
    const count = commandCount(units);
    queue.in_turn = false;
    queue.in_flight = true;
    queue.waiting -= count;
    this.#waiting -= count;
    this.#metrics.batch_size.observe(count);
    return { queue, units };
  }

  /** The tenant's next batch may go; what has to go once more is in front of it. */
  #release(queue: TenantQueue, again: Unit[]): void {
    queue.lanes.single.unshift(...again);
    queue.waiting += commandCount(again);
    this.#waiting += commandCount(again);
    queue.in_flight = false;
    this.#offer(queue);
  }

  async #runTogether(batches: TenantBatch[]): Promise<void> {
    this.#is_posting = true;
    const answers: (() => void)[] = [];
    try {
      this.#alone_waiting.push(...(await this.#postTogether(batches, answers)));
    } finally {
      this.#is_posting = false;
      this.#answering += 1;
      this.#startNext();
      // Only then, so that the next call is on its way while clients are answered: their answers would otherwise go before it.
      setImmediate(() => {
        for (const answer of answers) answer();
        this.#answering -= 1;
        this.#startNext();
      });
    }
  }

  async #runAlone({ queue, units }: TenantBatch): Promise<void> {
    this.#alone += 1;
    try {
      this.#release(queue, await this.#postSafely(queue.tenant_id, units));
    } finally {
      this.#alone -= 1;
      this.#startNext();
    }
  }

  /** Posts what is plain in one call, of one tenant or several, and adds what answers it; answers the batches that have to go alone. */
  async #postTogether(batches: TenantBatch[], answers: (() => void)[]): Promise<TenantBatch[]> {
    const alone: TenantBatch[] = [];
    const together = new Map<Batch, { taken: TenantBatch; steps: Step[] }>();
    // What cannot be prepared goes wrong again alone, where it is answered.
    const plain = await Promise.all(batches.map((taken) => this.#maybePlain(taken).catch(() => null)));
    batches.forEach((taken, index) => {
      const prepared = plain[index] ?? null;
      if (prepared === null) alone.push(taken);
      else together.set(prepared.batch, { taken, steps: prepared.steps });
    });
    let results: Map<Batch, BatchResult | null>;
    try {
      results = await postBatches(this.#database, this.#balances, [...together.keys()]);
    } catch (error) {
      // Whose lock it was is not known: the others need not wait for it, nor fail with it. Alone it is waited for longer.
      if (!(error instanceof Problem) || waitedForLock(error)) return batches;
      for (const { taken } of together.values()) {
        for (const unit of taken.units) unit.reject(error);
        this.#release(taken.queue, []);
      }
      return alone;
    }
    for (const [batch, { taken, steps }] of together) {
      const result = results.get(batch) ?? null;
      if (result === null) {
        alone.push(taken);
        continue;
      }
      this.#release(taken.queue, []);
      answers.push(() => {
        try {
          this.#answerPosted(taken, batch, steps, result);
        } catch (error) {
          // It is posted, and its keys say so; the answers of other tenants do not fail with it.
          for (const unit of taken.units) unit.reject(error);
        }
      });
    }
    return alone;
  }

  /** The batch as one to be posted with others: only drafts that follow up nothing. Null when it has to go alone. */
  async #maybePlain({ queue, units }: TenantBatch): Promise<{ batch: Batch; steps: Step[] } | null> {
    const { tenant_id } = queue;
    const commands = units.flatMap((unit) => unit.commands);
    const is_plain =
      units.every((unit) => !unit.atomic && !unit.dry_run) &&
      commands.every(({ order }) => order.kind === 'post');
    if (!is_plain) return null;
    const { steps, accounts_position } = await prepareSteps(
      { database: this.#database, accounts: this.#accounts },
      tenant_id,
      commands,
      false,
    );
    if (steps.some((step) => step.draft === null)) return null;
    const batch = {
      tenant_id,
      accounts_position,
      commands: steps.map(batchCommand),
      learning: this.#accounts.takeLimited(tenant_id, learnt_per_batch),
      atomic: false,
      dry_run: false,
    };
    return { batch, steps };
  }

  /** Answers a batch that was posted as it is. */
  #answerPosted({ queue, units }: TenantBatch, batch: Batch, steps: Step[], result: BatchResult): void {
    const { first_position, recorded_at } = result;
    if (first_position === null || recorded_at === null) throw new Error('a batch was posted nowhere');
    this.#offerEvents(queue.tenant_id, () => ownEvents(batch, first_position, recorded_at));
    this.#database.appended(queue.tenant_id, first_position + steps.length - 1);
    this.#metrics.posted.inc({ outcome: 'posted' }, steps.length);
    answerUnits(
      units,
      steps.map((step, index) => ({
        state: 'answered',
        replayed: false,
        ...renderAnswer(step, first_position + index, recorded_at),
      })),
    );
  }

  /** A batch that fails as a whole was rolled back as a whole: each unit is then tried alone, so that one cannot hurt the others. */
  async #postSafely(tenant_id: string, units: Unit[]): Promise<Unit[]> {
    try {
      return await this.#post(tenant_id, units);
    } catch (error) {
      // Unreachable and halted are nobody's fault; what became of the batch is found out by its keys.
      if (units.length === 1 || error instanceof Problem) {
        for (const unit of units) unit.reject(error);
        return [];
      }
      const again: Unit[] = [];
      for (const unit of units) again.push(...(await this.#postSafely(tenant_id, [unit])));
      return again;
    }
  }

  /** Posts a batch and answers its units; the ones that must go once more are returned. */
  async #post(tenant_id: string, units: Unit[]): Promise<Unit[]> {
    const [first] = units;
    const atomic = first?.atomic ?? false;
    const dry_run = first?.dry_run ?? false;
    for (;;) {
      const { steps, accounts_position } = await prepareSteps(
        { database: this.#database, accounts: this.#accounts },
        tenant_id,
        units.flatMap((unit) => unit.commands),
        atomic || dry_run,
      );
      const writable = steps.filter((step) => step.rejection === null);
      const culprit = steps.findIndex((step) => step.problem !== null);
      if (atomic && culprit >= 0) {
        const commands = steps.slice(0, culprit).map(batchCommand);
        const before = { tenant_id, accounts_position, commands, learning: [], atomic, dry_run: true };
        const result = culprit === 0 ? null : await postBatch(this.#database, this.#balances, before);
        await this.#accounts.refresh(tenant_id);
        const is_stale = this.#accounts.position(tenant_id) > accounts_position;
        // What the steps were prepared on has changed, so that another one may be the culprit.
        if (is_stale || result?.outcomes?.includes('target_changed')) continue;
        answerUnits(units, refusedOutcomes(steps, result));
        return [];
      }
      if (writable.length === 0) {
        answerUnits(units, steps.map(preparedOutcome));
        return [];
      }
      const commands = writable.map(batchCommand);
      const result = await postBatch(this.#database, this.#balances, {
        tenant_id,
        accounts_position,
        commands,
        learning: [],
        atomic,
        dry_run,
      });
      if (result.state === 'accounts_stale') {
        await this.#accounts.refresh(tenant_id);
        continue;
      }
      if (result.state === 'halted') {
        throw new Problem('ledger_halted', 'Postings are halted until the ledger is verified', {
          headers: { 'Retry-After': '60' },
        });
      }
      const appended = lastPosition(result, writable);
      if (!dry_run && appended > 0) this.#database.appended(tenant_id, appended);
      return concludeBatch(
        { database: this.#database, posted: this.#metrics.posted },
        { tenant_id, units, steps, writable },
        result,
      );
    }
  }
}
