// What waits for its batch: per tenant two lanes that take turns, so that a bulk request does not make single ones wait.
import type { Command, Outcome } from './command.ts';

/** One commit costs about as much as a few hundred commands; larger batches only add to everybody's wait. */
const max_batch_commands = 500;

export type Lane = 'single' | 'bulk';

/** What is answered together: one command, or an atomic group. */
export interface Unit {
  commands: Command[];
  atomic: boolean;
  dry_run: boolean;
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
  in_flight: boolean;
  in_turn: boolean;
}

/** What was taken of a queue and is in flight. */
export interface TenantBatch {
  queue: TenantQueue;
  units: Unit[];
}

export function newQueue(tenant_id: string): TenantQueue {
  return {
    tenant_id,
    lanes: { single: [], bulk: [] },
    turn: 'single',
    waiting: 0,
    in_flight: false,
    in_turn: false,
  };
}

export function commandCount(units: Unit[]): number {
  return units.reduce((sum, unit) => sum + unit.commands.length, 0);
}

/**
 * Up to a batch of units, the lanes taking turns, each in its order. An atomic group or a dry run goes alone. A second command with the
 * key, the reference or the target of one before it ends its lane's share, as it has to see what that one did.
 */
export function takeBatch(queue: TenantQueue): Unit[] {
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

export function answerUnits(units: Unit[], outcomes: Outcome[]): void {
  let at = 0;
  for (const unit of units) {
    unit.resolve(outcomes.slice(at, at + unit.commands.length));
    at += unit.commands.length;
  }
}
