// The group commit. Commands of one tenant wait while the tenant's previous batch is in flight, then go to Postgres together, as one
// statement that is one transaction; plain batches of several tenants share it. Each command succeeds or fails on its own; an atomic
// group is a batch of its own. While one call is in the database, the process answers the one before and reads the next; and when many wait
// already, the next call is sent behind it, so that the database need not wait for us either.
//
// Per tenant there are two lanes that take turns within each batch, so that a bulk request does not make single ones wait. Between
// tenants the turns go round. Queues are bounded: beyond them a command is refused with 503 before anything was done.
import type { Registry } from 'prom-client';
import type { Database } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { waitedForLock } from '../../postgres_errors.ts';
import type { AccountCache } from './account_cache.ts';
import type { Command, Outcome } from './command.ts';
import {
  answerUnits,
  commandCount,
  type Lane,
  newQueue,
  releaseClaims,
  type TenantBatch,
  type TenantQueue,
  takeBatch,
  type Unit,
} from './lanes.ts';
import { LimitedBalances } from './limited_balances.ts';
import { renderAnswer } from './outcomes.ts';
import { type OfferEvents, ownEvents } from './own_events.ts';
import { type PostingContext, postAlone, prepareAhead } from './posting_alone.ts';
import { type Batch, type BatchResult, postBatches } from './posting_batch.ts';
import { PostingMetrics } from './posting_metrics.ts';
import { batchCommand, prepareSteps, type Step } from './steps.ts';

const max_waiting_per_tenant = 20_000;
const max_waiting = 60_000;
/** Calls of plain batches on their way at once: one that is worked on, and one behind it … */
const max_calls = 2;
/** … if so many commands wait: a call costs as much as some dozen of them, and fewer would rather come with others. */
const min_commands_behind = 32;
/** of batches that cannot share a call: follow-ups, atomic groups, dry runs; so that a large one of one tenant does not stop the others */
const max_alone_in_flight = 3;
/** so that one call stays short, however many tenants wait */
const max_tenants_per_call = 32;
/** balances of limited accounts that one batch learns for later ones, under the tenant's lock */
const learnt_per_batch = 32;

export class Poster {
  readonly #context: PostingContext;
  readonly #offerEvents: OfferEvents;
  readonly #queues = new Map<string, TenantQueue>();
  /** tenants whose next batch may be taken, in turn */
  readonly #ready: TenantQueue[] = [];
  readonly #idle_waiters: (() => void)[] = [];
  /** calls of plain batches in the database, or on their way there */
  #calls = 0;
  /** calls whose commands are posted, and about to be answered */
  #answering = 0;
  /** tenants with a batch that is in the database by itself, and the batches that wait for that */
  readonly #alone = new Set<TenantQueue>();
  readonly #alone_waiting: TenantBatch[] = [];
  #waiting = 0;
  #stopped = false;

  constructor(database: Database, accounts: AccountCache, metrics: Registry, offerEvents: OfferEvents) {
    this.#context = {
      database,
      accounts,
      balances: new LimitedBalances(),
      metrics: new PostingMetrics(metrics, () => this.#waiting),
    };
    this.#offerEvents = offerEvents;
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

  #enqueue(
    tenant_id: string,
    unit: Pick<Unit, 'commands' | 'atomic' | 'dry_run'>,
    lane: Lane,
  ): Promise<Outcome[]> {
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
    return new Promise((answer, reject) => {
      // The answer of a large group takes a while to write: the next batch is sent before.
      const resolve = unit.atomic ? (outcomes: Outcome[]) => setImmediate(answer, outcomes) : answer;
      queue.lanes[lane].push({ ...unit, prepared: null, resolve, reject });
      this.#offer(queue);
      this.#prepareNext(queue);
    });
  }

  /** Puts a tenant in turn, and starts batches as long as there is room. */
  #offer(queue: TenantQueue): void {
    if (queue.waiting === 0 && queue.in_flight === 0 && !queue.is_alone) this.#queues.delete(queue.tenant_id);
    if (queue.waiting > 0 && !queue.in_turn && this.#mayFollow(queue)) {
      queue.in_turn = true;
      this.#ready.push(queue);
    }
    this.#startNext();
  }

  /**
   * Whether the tenant's next batch may be taken: behind one in flight only if it can be prepared on what is expected of that, and not if
   * the order of the two matters.
   */
  #mayFollow(queue: TenantQueue): boolean {
    if (queue.is_alone) return false;
    if (queue.in_flight === 0) return true;
    const is_ordered = queue.is_bulk_in_flight || queue.lanes.bulk.length > 0;
    return !is_ordered && this.#context.balances.maybeKnown(queue.tenant_id) !== null;
  }

  #startNext(): void {
    while (this.#alone.size < max_alone_in_flight) {
      const index = this.#alone_waiting.findIndex(
        ({ queue }) => queue.in_flight === 0 && !this.#alone.has(queue),
      );
      const [next] = index === -1 ? [] : this.#alone_waiting.splice(index, 1);
      if (next === undefined) break;
      void this.#runAlone(next);
    }
    while (this.#mayCall()) {
      const batches = this.#takeTogether();
      if (batches.length > 0) void this.#runTogether(batches);
    }
    if (!this.#isIdle()) return;
    for (const resolve of this.#idle_waiters.splice(0)) resolve();
  }

  #mayCall(): boolean {
    if (this.#ready.length === 0 || this.#calls >= max_calls) return false;
    if (this.#calls === 0) return true;
    let waiting = 0;
    for (const queue of this.#ready) {
      waiting += queue.waiting;
      if (waiting >= min_commands_behind) return true;
    }
    return false;
  }

  #isIdle(): boolean {
    const is_calling = this.#calls > 0 || this.#alone.size > 0 || this.#alone_waiting.length > 0;
    return this.#waiting === 0 && !is_calling && this.#answering === 0;
  }

  /** The next batches of the tenants whose turn it is, which from now on are in flight. */
  #takeTogether(): TenantBatch[] {
    return this.#ready.splice(0, max_tenants_per_call).flatMap((queue) => {
      queue.in_turn = false;
      // Since it came in turn a batch of its own may have been set aside, or commands whose order matters have come: it is offered again.
      if (!this.#mayFollow(queue)) return [];
      const taken = takeBatch(queue);
      // All that waits has to see first what is in flight.
      if (taken.units.length === 0) return [];
      const count = commandCount(taken.units);
      queue.in_flight += 1;
      queue.waiting -= count;
      this.#waiting -= count;
      this.#context.metrics.batch_size.observe(count);
      return [taken];
    });
  }

  /** Begins with the atomic group that is next while the tenant's batch before is at work. */
  #prepareNext(queue: TenantQueue): void {
    const [next] = queue.lanes.bulk;
    if (next === undefined || !next.atomic || next.prepared !== null || !queue.is_alone) return;
    next.prepared = prepareAhead(this.#context, queue.tenant_id, next.commands);
  }

  /** A batch is no longer in flight, and the tenant's next may go. */
  #release(taken: TenantBatch): void {
    taken.queue.in_flight -= 1;
    releaseClaims(taken);
    this.#offer(taken.queue);
  }

  /** The batch has to go alone, once those of its tenant that are in flight are done. */
  #setAside(taken: TenantBatch): void {
    taken.queue.in_flight -= 1;
    taken.queue.is_alone = true;
    this.#alone_waiting.push(taken);
  }

  async #runTogether(batches: TenantBatch[]): Promise<void> {
    this.#calls += 1;
    const answers: (() => void)[] = [];
    try {
      await this.#postTogether(batches, answers);
    } finally {
      this.#calls -= 1;
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

  async #runAlone(taken: TenantBatch): Promise<void> {
    const { queue, units } = taken;
    this.#alone.add(queue);
    // Once this one is on its way.
    setImmediate(() => this.#prepareNext(queue));
    let again: Unit[] = [];
    try {
      again = await postAlone(this.#context, queue.tenant_id, units);
    } finally {
      this.#alone.delete(queue);
      // What has to go once more is in front of what waits.
      queue.lanes.single.unshift(...again);
      queue.waiting += commandCount(again);
      this.#waiting += commandCount(again);
      queue.is_alone = this.#alone_waiting.some((other) => other.queue === queue);
      releaseClaims(taken);
      this.#offer(queue);
    }
  }

  /** Posts what is plain in one call, of one tenant or several, and adds what answers it; sets aside the batches that have to go alone. */
  async #postTogether(batches: TenantBatch[], answers: (() => void)[]): Promise<void> {
    const together = new Map<Batch, { taken: TenantBatch; steps: Step[] }>();
    // What cannot be prepared goes wrong again alone, where it is answered.
    const plain = await Promise.all(batches.map((taken) => this.#maybePlain(taken).catch(() => null)));
    batches.forEach((taken, index) => {
      const prepared = plain[index] ?? null;
      if (prepared === null) this.#setAside(taken);
      else together.set(prepared.batch, { taken, steps: prepared.steps });
    });
    if (together.size < batches.length) this.#startNext();
    let results: Map<Batch, BatchResult | null>;
    try {
      results = await postBatches(this.#context, [...together.keys()]);
    } catch (error) {
      for (const { taken } of together.values()) {
        // Whose lock it was is not known: the others need not wait for it, nor fail with it. Alone it is waited for longer.
        if (!(error instanceof Problem) || waitedForLock(error)) {
          this.#setAside(taken);
          continue;
        }
        for (const unit of taken.units) unit.reject(error);
        this.#release(taken);
      }
      return;
    }
    for (const [batch, { taken, steps }] of together) {
      const result = results.get(batch) ?? null;
      if (result === null) {
        this.#setAside(taken);
        continue;
      }
      this.#release(taken);
      answers.push(() => {
        try {
          this.#answerPosted(taken, batch, steps, result);
        } catch (error) {
          // It is posted, and its keys say so; the answers of other tenants do not fail with it.
          for (const unit of taken.units) unit.reject(error);
        }
      });
    }
  }

  /** The batch as one to be posted with others: only drafts that follow up nothing. Null when it has to go alone. */
  async #maybePlain({ queue, units }: TenantBatch): Promise<{ batch: Batch; steps: Step[] } | null> {
    const { tenant_id } = queue;
    const commands = units.flatMap((unit) => unit.commands);
    const is_plain =
      units.every((unit) => !unit.atomic && !unit.dry_run) &&
      commands.every(({ order }) => order.kind === 'post');
    if (!is_plain) return null;
    const { steps, accounts_position } = await prepareSteps(this.#context, tenant_id, commands, false);
    if (steps.some((step) => step.draft === null)) return null;
    const batch = {
      tenant_id,
      accounts_position,
      commands: steps.map(batchCommand),
      learning: this.#context.accounts.takeLimited(tenant_id, learnt_per_batch),
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
    this.#context.database.appended(queue.tenant_id, first_position + steps.length - 1);
    this.#context.metrics.posted.inc({ outcome: 'posted' }, steps.length);
    answerUnits(
      units,
      steps.map((step, index) => ({
        state: 'answered',
        replayed: false,
        ...renderAnswer(step, first_position + index, recorded_at),
      })),
    );
  }
}
