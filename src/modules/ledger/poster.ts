// The group commit. Commands of one tenant wait while the tenant's previous batch is in flight, then go to Postgres together, as one
// statement that is one transaction. Each command succeeds or fails on its own; an atomic group is a batch of its own.
//
// Per tenant there are two lanes that take turns within each batch, so that a bulk request does not make single ones wait. Between
// tenants the turns go round. Queues are bounded: beyond them a command is refused with 503 before anything was done.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Database } from '../../db.ts';
import { Problem } from '../../errors.ts';
import { encodeId } from '../../id.ts';
import type { AccountCache } from './account_cache.ts';
import type { Command, Outcome } from './command.ts';
import { hasExpiry, type Resolve } from './draft.ts';
import {
  answerUnits,
  commandCount,
  type Lane,
  newQueue,
  type TenantQueue,
  takeBatch,
  type Unit,
} from './lanes.ts';
import { LimitedBalances } from './limited_balances.ts';
import { lastPosition, preparedOutcome, refusal, renderAnswer } from './outcomes.ts';
import { type BatchResult, postBatch } from './posting_batch.ts';
import {
  accountReferences,
  advanceTarget,
  asAnswer,
  batchCommand,
  isSticky,
  prepareStep,
  type Step,
} from './steps.ts';
import { loadAnswers, loadTransactions, readClock } from './transactions.ts';

const max_waiting_per_tenant = 20_000;
const max_waiting = 60_000;
/** Two batches of different tenants overlap their commits; more only contend for the processors. */
const max_batches_in_flight = 4;

export class Poster {
  readonly #database: Database;
  readonly #accounts: AccountCache;
  readonly #balances = new LimitedBalances();
  readonly #queues = new Map<string, TenantQueue>();
  /** tenants with something to do and nothing in flight, in turn */
  readonly #ready: TenantQueue[] = [];
  readonly #batch_size: Histogram;
  readonly #posted: Counter;
  readonly #idle_waiters: (() => void)[] = [];
  #in_flight = 0;
  #waiting = 0;
  #stopped = false;

  constructor(database: Database, accounts: AccountCache, metrics: Registry) {
    this.#database = database;
    this.#accounts = accounts;
    this.#batch_size = new Histogram({
      name: 'lattice_posting_batch_commands',
      help: 'Commands per group commit',
      buckets: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 10_000],
      registers: [metrics],
    });
    this.#posted = new Counter({
      name: 'lattice_posting_commands_total',
      help: 'Commands by what became of them',
      labelNames: ['outcome'],
      registers: [metrics],
    });
    const waiting = () => this.#waiting;
    new Gauge({
      name: 'lattice_posting_commands_waiting',
      help: 'Commands waiting for their batch',
      registers: [metrics],
      collect() {
        this.set(waiting());
      },
    });
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
    if (this.#waiting === 0 && this.#in_flight === 0) return;
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
    while (this.#in_flight < max_batches_in_flight) {
      const next = this.#ready.shift();
      if (next === undefined) break;
      next.in_turn = false;
      void this.#runBatch(next);
    }
    if (this.#waiting === 0 && this.#in_flight === 0)
      for (const resolve of this.#idle_waiters.splice(0)) resolve();
  }

  async #runBatch(queue: TenantQueue): Promise<void> {
    const units = takeBatch(queue);
    const count = commandCount(units);
    queue.in_flight = true;
    queue.waiting -= count;
    this.#in_flight += 1;
    this.#waiting -= count;
    this.#batch_size.observe(count);
    try {
      const again = await this.#postSafely(queue.tenant_id, units);
      queue.lanes.single.unshift(...again);
      queue.waiting += commandCount(again);
      this.#waiting += commandCount(again);
    } finally {
      queue.in_flight = false;
      this.#in_flight -= 1;
      this.#offer(queue);
    }
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
      const { steps, accounts_position } = await this.#prepare(
        tenant_id,
        units.flatMap((unit) => unit.commands),
        atomic || dry_run,
      );
      const writable = steps.filter((step) => step.rejection === null);
      if (writable.length === 0 || (atomic && steps.some((step) => step.problem !== null))) {
        answerUnits(units, steps.map(preparedOutcome));
        return [];
      }
      const commands = writable.map(batchCommand);
      const result = await postBatch(this.#database, this.#balances, {
        tenant_id,
        accounts_position,
        commands,
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
      return this.#conclude(tenant_id, units, steps, writable, result);
    }
  }

  /** Accounts, targets and money rules of each command, in order. */
  async #prepare(
    tenant_id: string,
    commands: Command[],
    is_group: boolean,
  ): Promise<{ steps: Step[]; accounts_position: number }> {
    const expiring = commands.some(({ order }) => order.kind === 'post' && hasExpiry(order.request));
    const now = expiring ? await readClock(this.#database) : null;
    const target_ids = commands.flatMap(({ order }) => ('target_id' in order ? [order.target_id] : []));
    const targets = await loadTransactions(this.#database, tenant_id, [...new Set(target_ids)]);
    const references = commands.flatMap(({ order }) => accountReferences(order));
    for (const found of targets.values()) {
      references.push(...found.lines.map((line) => encodeId('account', line.account_id)));
    }
    await this.#accounts.load(tenant_id, references);
    const resolve: Resolve = (reference) => this.#accounts.resolve(tenant_id, reference);
    const steps = commands.map((command) => {
      const step = prepareStep(command, resolve, targets, now);
      // Within a group a later command sees what an earlier one does to their common target.
      if (is_group && step.draft !== null) advanceTarget(targets, step.draft);
      return step;
    });
    return { steps, accounts_position: this.#accounts.position(tenant_id) };
  }

  /** Turns the batch's result into outcomes. */
  async #conclude(
    tenant_id: string,
    units: Unit[],
    steps: Step[],
    writable: Step[],
    result: BatchResult,
  ): Promise<Unit[]> {
    const outcomes = new Map<Step, Outcome>();
    const again = new Set<Step>();
    const replayed: Step[] = [];
    let position = result.first_position ?? 0;
    const dry_run = units.some((unit) => unit.dry_run);
    writable.forEach((step, index) => {
      const became = result.outcomes?.[index] ?? (step.draft === null ? 'answered' : 'posted');
      this.#posted.inc({ outcome: became });
      if (became === 'replayed' || became === 'refused_before') replayed.push(step);
      else if (became === 'target_changed') again.add(step);
      else if (became === 'posted' || became === 'answered') {
        const at = result.positions?.[index] ?? position;
        if (step.draft !== null) position = at + 1;
        outcomes.set(step, {
          state: 'answered',
          replayed: false,
          ...renderAnswer(step, dry_run ? 0 : at, result.recorded_at),
        });
      } else outcomes.set(step, { state: 'rejected', problem: refusal(step, became, index, result) });
    });
    if (replayed.length > 0) {
      const answers = await loadAnswers(
        this.#database,
        tenant_id,
        replayed.map((step) => step.command.origin.key_hash),
      );
      for (const step of replayed) {
        const stored = answers.get(step.command.origin.key_hash);
        if (stored === undefined) throw new Error('a key is taken but has no answer');
        outcomes.set(step, { state: 'answered', status: stored.status, body: stored.body, replayed: true });
      }
    }
    for (const step of steps)
      if (step.rejection !== null) outcomes.set(step, { state: 'rejected', problem: step.rejection });

    const repeated: Unit[] = [];
    let at = 0;
    for (const unit of units) {
      const mine = steps.slice(at, at + unit.commands.length);
      at += unit.commands.length;
      if (mine.some((step) => again.has(step))) {
        repeated.push(unit);
        continue;
      }
      const answered = mine.map((step) => outcomes.get(step)).filter((outcome) => outcome !== undefined);
      const [only] = answered;
      if (!unit.atomic && !unit.dry_run && only?.state === 'rejected' && isSticky(only.problem)) {
        // A refusal is stored with the next batch, before anybody hears of it.
        const [command] = unit.commands;
        if (command !== undefined) repeated.push({ ...unit, commands: [asAnswer(command, only.problem)] });
      } else unit.resolve(answered);
    }
    return repeated;
  }
}
