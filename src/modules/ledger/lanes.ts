// What waits for its batch: per tenant two lanes that take turns, so that a bulk request does not make single ones wait.
import type { Command, Outcome } from './command.ts';

/** One commit costs about as much as a few hundred commands; larger batches only add to everybody's wait. */
const max_batch_commands = 500;
/** Twice as many as a full batch of usual commands has. Commands of a thousand entries would make a call last as long as a statement may. */
const max_batch_entries = 2_000;

export type Lane = 'single' | 'bulk';

/** What is answered together: one command, or an atomic group. */
export interface Unit {
  commands: Command[];
  atomic: boolean;
  dry_run: boolean;
  /** an atomic group of postings, which one optimistic call posts as a whole or not at all */
  is_group: boolean;
  resolve: (outcomes: Outcome[]) => void;
  reject: (error: unknown) => void;
}

export interface TenantQueue {
  tenant_id: string;
  lanes: Record<Lane, Unit[]>;
  /** the lane that the next batch begins with */
  turn: Lane;
  /** commands waiting in both lanes */
  waiting: number;
  /** plain batches in the database, or on their way there */
  in_flight: number;
  /** whether one of these may hold commands of a bulk request, which are seen in their order */
  is_bulk_in_flight: boolean;
  /** keys, references and targets of what was taken and is not answered yet */
  claims: Set<string>;
  /** whether a batch waits for those in flight, or is in the database, by itself: until it is answered nothing else is taken */
  is_alone: boolean;
  in_turn: boolean;
}

/** What was taken of a queue and is in flight. */
export interface TenantBatch {
  queue: TenantQueue;
  units: Unit[];
  entry_count: number;
  claims: string[];
}

export function newQueue(tenant_id: string): TenantQueue {
  return {
    tenant_id,
    lanes: { single: [], bulk: [] },
    turn: 'single',
    waiting: 0,
    in_flight: 0,
    is_bulk_in_flight: false,
    claims: new Set(),
    is_alone: false,
    in_turn: false,
  };
}

export function commandCount(units: Unit[]): number {
  let count = 0;
  for (const { commands } of units) count += commands.length;
  return count;
}

export function commandsOf(units: Unit[]): Command[] {
  const all: Command[] = [];
  for (const { commands } of units) all.push(...commands);
  return all;
}

/** The unit that the next batch begins with. */
export function maybeNextUnit({ lanes, turn }: TenantQueue): Unit | null {
  const [first] = lanes[turn];
  const [second] = lanes[turn === 'single' ? 'bulk' : 'single'];
  return first ?? second ?? null;
}

export function isPlainGroup({
  commands,
  atomic,
  dry_run,
}: Pick<Unit, 'commands' | 'atomic' | 'dry_run'>): boolean {
  const is_plain = ({ order }: Command) =>
    order.kind === 'post' || (order.kind === 'answer' && order.status < 400);
  return atomic && !dry_run && commands.every(is_plain);
}

/** The group that is in front of the bulk lane. */
export function takeGroup(queue: TenantQueue): TenantBatch {
  queue.turn = queue.turn === 'single' ? 'bulk' : 'single';
  queue.is_bulk_in_flight = true;
  const units = queue.lanes.bulk[0]?.is_group ? queue.lanes.bulk.splice(0, 1) : [];
  return { queue, units, entry_count: entryCount(units), claims: [] };
}

/**
 * Up to a batch of units, the lanes taking turns, each in its order. A group is left where it is; other atomic units and dry runs go by
 * themselves. A second command with the key, the reference or the target of one before it ends its lane's share, as it has to see what that
 * one did. None, when they all have to see what is in flight.
 */
export function takeBatch(queue: TenantQueue): TenantBatch {
  const taken: TenantBatch = { queue, units: [], entry_count: 0, claims: [] };
  if (queue.in_flight === 0) queue.is_bulk_in_flight = false;
  queue.is_bulk_in_flight ||= queue.lanes.bulk.length > 0;
  const first = queue.turn;
  const second = first === 'single' ? 'bulk' : 'single';
  queue.turn = second;
  let open = [queue.lanes[first], queue.lanes[second]].filter((lane) => lane.length > 0);
  while (open.length > 0) open = open.filter((lane) => takeUnit(taken, lane));
  return taken;
}

/** Takes the first unit of a lane into the batch if it may go with it, and answers whether the next of the lane may follow. */
function takeUnit(taken: TenantBatch, lane: Unit[]): boolean {
  const { queue, units, claims } = taken;
  const [unit] = lane;
  if (unit === undefined || unit.is_group || isFull(taken)) return false;
  if (unit.atomic || unit.dry_run) {
    if (units.length > 0) return false;
    lane.shift();
    units.push(unit);
    return false;
  }
  if (units[0]?.atomic || units[0]?.dry_run) return false;
  const its_claims = claimsOf(unit);
  for (const claim of its_claims) if (queue.claims.has(claim)) return false;
  for (const claim of its_claims) queue.claims.add(claim);
  claims.push(...its_claims);
  lane.shift();
  units.push(unit);
  taken.entry_count += entryCount([unit]);
  return true;
}

function isFull({ units, entry_count }: TenantBatch): boolean {
  return units.length >= max_batch_commands || entry_count >= max_batch_entries;
}

/** What postings move; a follow-up has about as many as its target. */
function entryCount(units: Unit[]): number {
  let count = 0;
  for (const { commands } of units)
    for (const { order } of commands) if (order.kind === 'post') count += order.request.entries.length;
  return count;
}

/** In front of what waits, each in the lane that it is taken from: a group is only looked for in that of bulk requests. */
export function putBack(queue: TenantQueue, units: Unit[]): void {
  for (const unit of units.toReversed()) queue.lanes[unit.is_group ? 'bulk' : 'single'].unshift(unit);
  queue.waiting += commandCount(units);
}

/** What comes next sees what has become of these. */
export function releaseClaims({ queue, claims }: TenantBatch): void {
  for (const claim of claims) queue.claims.delete(claim);
}

function claimsOf({ commands }: Unit): string[] {
  const claims: string[] = [];
  for (const { origin, order } of commands) {
    claims.push(origin.key_hash);
    if ('target_id' in order) claims.push(order.target_id);
    if ('request' in order && typeof order.request.reference === 'string')
      claims.push(`reference ${order.request.reference}`);
  }
  return claims;
}

export function answerUnits(units: Unit[], outcomes: Outcome[]): void {
  let at = 0;
  for (const unit of units) {
    unit.resolve(outcomes.slice(at, at + unit.commands.length));
    at += unit.commands.length;
  }
}
