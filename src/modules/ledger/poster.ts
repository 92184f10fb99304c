// The group commit. Commands of one tenant wait while the tenant's previous batch is in flight, then go to Postgres together, as one
// statement that is one transaction; plain batches of several tenants share it. Each command succeeds or fails on its own; an atomic
// group is a batch and a call of its own. While one call is in the database, the process answers the one before and reads the next; and when
// many wait already, the next call is sent behind it, so that the database need not wait for us either.
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
  commandCount,
  isPlainGroup,
  type Lane,
  maybeNextUnit,
  newQueue,
  putBack,
  releaseClaims,
  type TenantBatch,
  type TenantQueue,
  takeBatch,
  takeGroup,
  type Unit,
} from './lanes.ts';
import { LimitedBalances } from './limited_balances.ts';
import type { OfferEvents } from './own_events.ts';
import { answerPosted, maybePlain, type PlainBatch } from './plain_batch.ts';
import { type PostingContext, postAlone } from './posting_alone.ts';
import type { Batch } from './posting_attempt.ts';
import { type BatchResult, postBatches, postGroup } from './posting_batch.ts';
import { PostingMetrics } from './posting_metrics.ts';
import { max_calls, type Way, Ways } from './ways.ts';

const max_waiting_per_tenant = 20_000;
const max_waiting = 60_000;
/** A call of plain batches goes behind another if so many commands wait: it costs as much as some dozen of them, and fewer would rather come with others. */
const min_commands_behind = 32;
/** A group goes behind another if it is no larger than this: what comes next of their tenant waits for both. */
const max_commands_behind = 2_500;
/** of batches that go by themselves: follow-ups, dry runs, what was not certain; so that a large one of one tenant does not stop the others */
const max_alone_in_flight = 3;
/** so that one call stays short, however many tenants wait */
const max_tenants_per_call = 32;

export class Poster {
  readonly #context: PostingContext;
  readonly #offerEvents: OfferEvents;
  readonly #queues = new Map<string, TenantQueue>();
  /** tenants whose next batch may be taken, in turn: those with a plain one, and those with an atomic group */
  readonly #ready: TenantQueue[] = [];
  #ready_groups: TenantQueue[] = [];
  readonly #idle_waiters: (() => void)[] = [];
  readonly #ways = new Ways();
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

  /** What would become of them, in order, each on the ones before it. Writes nothing. With none there is no turn to wait for. */
  async evaluate(tenant_id: string, commands: Command[]): Promise<Outcome[]> {
    if (commands.length === 0) return [];
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
    return new Promise((resolve, reject) => {
      queue.lanes[lane].push({ ...unit, is_group: isPlainGroup(unit), resolve, reject });
      this.#offer(queue);
    });
  }

  /** Puts a tenant in turn, and starts batches as long as there is room. */
  #offer(queue: TenantQueue): void {
    if (queue.waiting === 0 && queue.in_flight === 0 && !queue.is_alone) this.#queues.delete(queue.tenant_id);
    if (queue.waiting > 0 && !queue.in_turn && this.#mayFollow(queue)) this.#putInTurn(queue);
    this.#startNext();
  }

  #putInTurn(queue: TenantQueue): void {
    const next = maybeNextUnit(queue);
    if (next === null) return;
    queue.in_turn = true;
    (next.is_group ? this.#ready_groups : this.#ready).push(queue);
  }

  /**
   * Whether the tenant's next batch may be taken: behind one in flight only if it can be prepared on what is expected of that, goes the same
   * way, and the order of the two does not matter.
   */
  #mayFollow(queue: TenantQueue): boolean {
    if (queue.is_alone) return false;
    if (queue.in_flight === 0) return true;
    if (this.#context.balances.maybeKnown(queue.tenant_id) === null) return false;
    const way = this.#ways.maybeOf(queue);
    if (way !== null) {
      const next = maybeNextUnit(queue);
      const is_small_group = next?.is_group === true && next.commands.length <= max_commands_behind;
      // Single ones that wait are not made to wait for two.
      return is_small_group && !way.is_preparing && queue.lanes.single.length === 0;
    }
    return !queue.is_bulk_in_flight && queue.lanes.bulk.length === 0;
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
    this.#ready_groups = this.#ways.beginGroups(this.#ready_groups, (queue, way) => {
      for (const taken of this.#take(queue, true)) {
        way.queue = queue;
        way.is_preparing = true;
        void this.#run(way, (answers) => this.#postGroup(taken, way, answers));
      }
    });
    while (this.#mayCall()) {
      const batches: TenantBatch[] = [];
      for (const queue of this.#ready.splice(0, max_tenants_per_call))
        batches.push(...this.#take(queue, false));
      if (batches.length === 0) continue;
      void this.#run(this.#ways.plain, (answers) => this.#postTogether(batches, answers));
    }
    if (!this.#isIdle()) return;
    for (const resolve of this.#idle_waiters.splice(0)) resolve();
  }

  #mayCall(): boolean {
    const { calls } = this.#ways.plain;
    if (this.#ready.length === 0 || calls >= max_calls) return false;
    if (calls === 0) return true;
    let waiting = 0;
    return this.#ready.some((queue) => {
      waiting += queue.waiting;
      return waiting >= min_commands_behind;
    });
  }

  #isIdle(): boolean {
    const alone_count = this.#alone.size + this.#alone_waiting.length;
    return this.#waiting + alone_count + this.#answering === 0 && this.#ways.areIdle;
  }

  /** The next batch of a tenant whose turn it is, which from now on is in flight. None when it may not be taken any more. */
  #take(queue: TenantQueue, is_group: boolean): TenantBatch[] {
    queue.in_turn = false;
    // Since it came in turn a batch of its own may have been set aside, or commands whose order matters have come: it is offered again.
    if (!this.#mayFollow(queue)) return [];
    const taken = is_group ? takeGroup(queue) : takeBatch(queue);
    // All that waits has to see first what is in flight.
    if (taken.units.length === 0) return [];
    const count = commandCount(taken.units);
    queue.in_flight += 1;
    queue.waiting -= count;
    this.#waiting -= count;
    this.#context.metrics.batch_size.observe(count);
    return [taken];
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

  /** One call. `post` adds what answers it. */
  async #run(way: Way, post: (answers: (() => void)[]) => Promise<void>): Promise<void> {
    way.calls += 1;
    const answers: (() => void)[] = [];
    try {
      await post(answers);
    } finally {
      way.calls -= 1;
      if (way.calls === 0) way.queue = null;
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
    let again: Unit[] = [];
    try {
      again = await postAlone(this.#context, queue.tenant_id, units);
    } finally {
      this.#alone.delete(queue);
      putBack(queue, again);
      this.#waiting += commandCount(again);
      queue.is_alone = this.#alone_waiting.some((other) => other.queue === queue);
      releaseClaims(taken);
      this.#offer(queue);
    }
  }

  /** Posts what is plain in one call, of one tenant or several; sets aside the batches that have to go alone. */
  async #postTogether(batches: TenantBatch[], answers: (() => void)[]): Promise<void> {
    const together = new Map<PlainBatch, TenantBatch>();
    const plain = await Promise.all(batches.map((taken) => maybePlain(this.#context, taken)));
    for (const [index, taken] of batches.entries()) {
      const prepared = plain[index] ?? null;
      if (prepared === null) this.#setAside(taken);
      else together.set(prepared, taken);
    }
    if (together.size < batches.length) this.#startNext();
    let results: Map<Batch, BatchResult | null>;
    try {
      const posted = [...together.keys()].map(({ batch }) => batch);
      results = await postBatches(this.#context, posted, this.#ways.plain.pipe);
    } catch (error) {
      for (const taken of together.values()) {
        // Whose lock it was is not known: the others need not wait for it, nor fail with it. Alone it is waited for longer.
        if (waitedForLock(error)) this.#setAside(taken);
        else this.#fail(taken, error);
      }
      return;
    }
    for (const [prepared, taken] of together) {
      this.#conclude(taken, prepared, results.get(prepared.batch) ?? null, answers);
    }
  }

  /** Posts an atomic group in a call of its own; sets it aside when it is not certain that all of it is posted. */
  async #postGroup(taken: TenantBatch, way: Way, answers: (() => void)[]): Promise<void> {
    const prepared = await maybePlain(this.#context, taken);
    way.is_preparing = false;
    if (prepared === null) {
      this.#setAside(taken);
      return;
    }
    const posting = postGroup(this.#context, prepared.batch, way.pipe);
    // What it is expected to do is known from here on, so the next group of its tenant may follow.
    this.#offer(taken.queue);
    let result: BatchResult | null;
    try {
      result = await posting;
    } catch (error) {
      this.#fail(taken, error);
      return;
    }
    this.#conclude(taken, prepared, result, answers);
  }

  /** Unreachable and halted are nobody's fault, and answered; whose fault something else is shows when each goes alone. */
  #fail(taken: TenantBatch, error: unknown): void {
    if (!(error instanceof Problem)) {
      this.#setAside(taken);
      return;
    }
    for (const unit of taken.units) unit.reject(error);
    this.#release(taken);
  }

  /** A batch that was posted as it is, or (null) that has to go alone. */
  #conclude(
    taken: TenantBatch,
    prepared: PlainBatch,
    result: BatchResult | null,
    answers: (() => void)[],
  ): void {
    if (result === null) {
      this.#setAside(taken);
      return;
    }
    this.#release(taken);
    answers.push(() => {
      try {
        answerPosted(this.#context, this.#offerEvents, taken, prepared, result);
      } catch (error) {
        // It is posted, and its keys say so; the answers of other tenants do not fail with it.
        for (const unit of taken.units) unit.reject(error);
      }
    });
  }
}
