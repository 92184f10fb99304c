// The group commit. Commands of one tenant wait while the tenant's previous batch is in flight, then go to Postgres together, as one
// statement that is one transaction. Each command succeeds or fails on its own; an atomic group is a batch of its own.
//
// Per tenant there are two lanes that take turns within each batch, so that a bulk request does not make single ones wait. Between
// tenants the turns go round. Queues are bounded: beyond them a command is refused with 503 before anything was done.
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { Database } from '../../db.ts';
import { Problem, problemDocument } from '../../errors.ts';
import { encodeId, newUuid } from '../../id.ts';
import type { AccountCache } from './account_cache.ts';
import type { Command, Order, Outcome } from './command.ts';
import { type Draft, draftPosting, hasExpiry, type Resolve } from './draft.ts';
import { draftCapture, draftExpiry, draftReversal, draftVoid } from './follow_up.ts';
import { effectsOf, LimitedBalances } from './limited_balances.ts';
import { type BatchCommand, type BatchResult, postBatch } from './posting_batch.ts';
import { renderRecorded, type StoredTransaction } from './stored_transaction.ts';
import { loadAnswers, loadTransactions, readClock } from './transactions.ts';

/** One commit costs about as much as a few hundred commands; larger batches only add to everybody's wait. */
const max_batch_commands = 500;
const max_waiting_per_tenant = 20_000;
const max_waiting = 60_000;
/** Two batches of different tenants overlap their commits; more only contend for the processors. */
const max_batches_in_flight = 4;

type Lane = 'single' | 'bulk';

/** What is answered together: one command, or an atomic group. */
interface Unit {
  commands: Command[];
  atomic: boolean;
  dry_run: boolean;
  resolve: (outcomes: Outcome[]) => void;
  reject: (error: unknown) => void;
}

interface TenantQueue {
  tenant_id: string;
  lanes: Record<Lane, Unit[]>;
  /** the lane that the next batch begins with */
  turn: Lane;
  /** commands waiting in both lanes */
  waiting: number;
  in_flight: boolean;
  in_turn: boolean;
}

/** A command on its way, with what it has become so far. */
interface Step {
  command: Command;
  draft: Draft | null;
  /** decided without the database's help, and to be stored */
  answer: { status: number; body: string } | null;
  /** why it is refused, if it is */
  problem: Problem | null;
  /** whether the refusal is not to be stored */
  rejection: Problem | null;
}

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
        atomic,
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
    atomic: boolean,
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
      // Within an atomic group a later command sees what an earlier one does to their common target.
      if (atomic && step.draft !== null) advanceTarget(targets, step.draft);
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

/** The last position that a batch has appended; 0 when it appended nothing. */
function lastPosition(result: BatchResult, written: Step[]): number {
  const { state, positions, first_position } = result;
  if (state === 'refused') return 0;
  if (positions !== null) return positions.reduce<number>((last, each) => Math.max(last, each ?? 0), 0);
  return (first_position ?? 0) + written.filter(({ draft }) => draft !== null).length - 1;
}

/** Why ledger.post_transactions refused a command. */
function refusal({ draft }: Step, became: string, index: number, result: BatchResult): Problem {
  if (became === 'key_reused')
    return new Problem('idempotency_key_reused', 'This key was used for another request');
  if (draft === null) throw new Error(`an answer became ${became}`);
  if (became === 'reference_taken') {
    const transaction_id = result.outcome_transaction_ids?.[index];
    const taken_by = transaction_id == null ? null : encodeId('transaction', transaction_id);
    const detail = `The reference ${draft.reference} belongs to ${taken_by}`;
    return new Problem(became, detail, {
      extras: { reference: draft.reference, transaction_id: taken_by },
      errors: [{ pointer: '#/reference', code: became, detail }],
    });
  }
  const account_id = result.outcome_account_ids?.[index];
  const balance = result.outcome_balances?.[index];
  if (
    (became !== 'insufficient_funds' && became !== 'limit_exceeded') ||
    account_id == null ||
    balance == null
  ) {
    throw new Error(`a command became ${became}`);
  }
  return limitProblem(became, account_id, BigInt(balance), draft);
}

function newQueue(tenant_id: string): TenantQueue {
  return {
    tenant_id,
    lanes: { single: [], bulk: [] },
    turn: 'single',
    waiting: 0,
    in_flight: false,
    in_turn: false,
  };
}

function commandCount(units: Unit[]): number {
  return units.reduce((sum, unit) => sum + unit.commands.length, 0);
}

/**
 * Up to a batch of units, the lanes taking turns, each in its order. An atomic group or a dry run goes alone. A second command with the
 * key, the reference or the target of one before it ends its lane's share, as it has to see what that one did.
 */
function takeBatch(queue: TenantQueue): Unit[] {
  const units: Unit[] = [];
  const seen = new Set<string>();
  const first = queue.turn;
  const second = first === 'single' ? 'bulk' : 'single';
  queue.turn = second;
  let open = [queue.lanes[first], queue.lanes[second]].filter((lane) => lane.length > 0);
  while (open.length > 0 && units.length < max_batch_commands) {
    open = open.filter((lane) => {
      const [unit] = lane;
      if (unit === undefined || units.length >= max_batch_commands) return false;
      if (unit.atomic || unit.dry_run) {
        if (units.length > 0) return false;
        lane.shift();
        units.push(unit);
        return false;
      }
      if (units[0]?.atomic || units[0]?.dry_run) return false;
      const claims = unit.commands.flatMap(claimsOf);
      if (claims.some((claim) => seen.has(claim))) return false;
      for (const claim of claims) seen.add(claim);
      lane.shift();
      units.push(unit);
      return true;
    });
  }
  return units;
}

function claimsOf({ origin, order }: Command): string[] {
  const claims = [origin.key_hash];
  if ('target_id' in order) claims.push(order.target_id);
  if ('request' in order && typeof order.request.reference === 'string')
    claims.push(`reference ${order.request.reference}`);
  return claims;
}

function accountReferences(order: Order): string[] {
  if (order.kind !== 'post' && order.kind !== 'capture') return [];
  return (order.request.entries ?? []).map((entry) => entry.account);
}

function prepareStep(
  command: Command,
  resolve: Resolve,
  targets: Map<string, StoredTransaction>,
  now: string | null,
): Step {
  const { order, origin } = command;
  const step = { command, draft: null, answer: null, problem: null, rejection: null };
  if (order.kind === 'answer') return { ...step, answer: { status: order.status, body: order.body } };
  try {
    const draft = draftOrder(order, resolve, targets, encodeId('key', origin.actor_id), now);
    return { ...step, draft, answer: draft.answer === null ? null : { status: 200, body: draft.answer } };
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    if (!isSticky(error)) return { ...step, problem: error, rejection: error };
    return { ...step, answer: { status: error.status, body: problemBody(command, error) }, problem: error };
  }
}

function draftOrder(
  order: Exclude<Order, { kind: 'answer' }>,
  resolve: Resolve,
  targets: Map<string, StoredTransaction>,
  actor: string,
  now: string | null,
): Draft {
  const ids = { transaction_id: newUuid(), actor };
  if (order.kind === 'post') return draftPosting(resolve, order.request, ids, now);
  const target = targets.get(order.target_id);
  if (target === undefined) {
    const detail = 'There is no such transaction';
    throw new Problem('not_found', detail, {
      errors: [{ pointer: order.pointer, code: 'not_found', detail }],
    });
  }
  if (order.kind === 'capture') return draftCapture(resolve, target, order.request, ids, target.observed_at);
  if (order.kind === 'reversal') return draftReversal(resolve, target, order.request, ids);
  if (order.kind === 'void') return draftVoid(resolve, target, target.observed_at);
  const draft = draftExpiry(resolve, target, target.observed_at);
  if (draft === null) throw new Problem('transaction_not_pending', 'The hold has ended already');
  return draft;
}

/** The target as the rest of an atomic group will find it. */
function advanceTarget(targets: Map<string, StoredTransaction>, draft: Draft): void {
  const found = draft.target === null ? undefined : targets.get(draft.target.id);
  if (found === undefined || draft.target === null) return;
  const { kind, number, final } = draft.target;
  const by_transaction_id = kind === 'capture' || kind === 'reversal' ? draft.subject_id : null;
  targets.set(found.id, {
    ...found,
    links: [...found.links, { kind, number, final, by_transaction_id }],
    lines: [
      ...found.lines,
      ...draft.entries.map(({ account, layer, direction, amount }) => ({
        account_id: account.id,
        layer,
        direction,
        own: false,
        amount: `${amount}`,
      })),
    ],
  });
}

function batchCommand(step: Step): BatchCommand {
  const { key_hash, request_hash, actor_id, request_id } = step.command.origin;
  return { key_hash, request_hash, actor_id, request_id, draft: step.draft, answer: step.answer };
}

function isSticky(problem: Problem): boolean {
  return (problem.status === 409 || problem.status === 422) && problem.code !== 'idempotency_key_reused';
}

function problemBody(command: Command, problem: Problem): string {
  return JSON.stringify(problemDocument(problem, command.origin.instance, command.origin.request_id));
}

function asAnswer(command: Command, problem: Problem): Command {
  return {
    ...command,
    order: { kind: 'answer', status: problem.status, body: problemBody(command, problem) },
  };
}

/** What a step amounts to when nothing is written. */
function preparedOutcome(step: Step): Outcome {
  if (step.problem !== null) return { state: 'rejected', problem: step.problem };
  return { state: 'answered', replayed: false, status: 200, body: '' };
}

function renderAnswer(
  step: Step,
  position: number,
  recorded_at: string | null,
): { status: number; body: string } {
  if (step.answer !== null) return step.answer;
  if (step.draft === null || recorded_at === null) throw new Error('a posted command without its draft');
  const { subject_id, data, effective_at } = step.draft;
  const body = renderRecorded({
    id: subject_id,
    position,
    recorded_at,
    effective_at: effective_at ?? recorded_at,
    data,
  });
  return { status: 201, body };
}

function limitProblem(
  code: 'insufficient_funds' | 'limit_exceeded',
  account_id: string,
  balance: bigint,
  draft: Draft,
): Problem {
  const effect = effectsOf(draft).find((each) => each.account.id === account_id);
  if (effect === undefined)
    throw new Error('a limit was broken by a command that does not touch its account');
  const { account } = effect;
  const pointer = `#/entries/${draft.entries.findIndex((entry) => entry.account.id === account.id)}/account`;
  if (code === 'insufficient_funds') {
    const required = -effect.available;
    const detail = `${account.code} has ${balance} available, ${required} is required and ${account.available_min} must stay`;
    return new Problem(code, detail, {
      extras: {
        account: account.code,
        available: `${balance}`,
        required: `${required}`,
        available_min: `${account.available_min}`,
      },
      errors: [{ pointer, code, detail }],
    });
  }
  const detail = `${account.code} has ${balance} posted, and ${effect.posted} more would pass ${account.posted_max}`;
  return new Problem(code, detail, {
    extras: {
      account: account.code,
      posted: `${balance}`,
      added: `${effect.posted}`,
      posted_max: `${account.posted_max}`,
    },
    errors: [{ pointer, code, detail }],
  });
}

function answerUnits(units: Unit[], outcomes: Outcome[]): void {
  let at = 0;
  for (const unit of units) {
    unit.resolve(outcomes.slice(at, at + unit.commands.length));
    at += unit.commands.length;
  }
}
