// A consumer in one tenant's log, as this process follows it: when it may run next, and how large its next slice is.
import type { Consumer } from '../../consumer.ts';

const first_slice_positions = 5_000;
const usual_max_slice_positions = 20_000;
/** A slice that takes longer than this is made smaller: what is not applied yet is counted by every reader meanwhile. */
const long_slice_ms = 400;
/** Of the time of a pair, at most one part in so many is spent on it; the rest is for posting. */
const rest_factor = 7;
const least_rest_ms = 50;
const max_rest_ms = 500;

export interface Follower {
  consumer: Consumer;
  tenant_id: string;
  /** there may be something to apply */
  woken: boolean;
  state: 'resting' | 'queued' | 'running';
  timer: NodeJS.Timeout | null;
  not_before_ms: number;
  /** positions of the next slice */
  limit: number;
  /** how far it has come, when last seen */
  position: number | null;
  /** the furthest that the log is known to have come */
  head_position: number;
  /** one after the other, until now */
  failures: number;
  is_parked: boolean;
  /** All went well with its last slice: those that it takes along need none of their own. */
  leads: boolean;
  used_ms: number;
}

export function newFollower(tenant_id: string, consumer: Consumer): Follower {
  return {
    consumer,
    tenant_id,
    woken: false,
    state: 'resting',
    timer: null,
    not_before_ms: 0,
    limit: Math.min(first_slice_positions, maxSlice(consumer)),
    position: null,
    head_position: 0,
    failures: 0,
    is_parked: false,
    leads: false,
    used_ms: performance.now(),
  };
}

/** The log has come this far at least. */
export function noteHead(follower: Follower, head_position: number): void {
  follower.head_position = Math.max(follower.head_position, head_position);
}

/** The size of the slice after one that took so long. */
export function nextLimit({ limit, consumer, position, head_position }: Follower, took_ms: number): number {
  if (took_ms > long_slice_ms) return Math.max(1, Math.ceil(limit / 2));
  const is_behind = position !== null && position < head_position;
  // Twice as many take less than twice as long. Were it not made larger again soon, small slices would follow each other without a rest, each
  // writing the same accounts: that is kept up with, at a multiple of what it costs otherwise, and so for ever.
  if (!is_behind || took_ms > long_slice_ms / 2) return limit;
  return Math.min(maxSlice(consumer), limit * 2);
}

/** How long a follower that is caught up waits before it looks again. */
export function restMs({ consumer }: Follower, took_ms: number): number {
  // What is appended when a slice has just begun waits until that and the next one are done.
  const wanted_ms = (consumer.within_ms ?? 0) - 2 * took_ms;
  return Math.max(least_rest_ms, wanted_ms, Math.min(max_rest_ms, took_ms * rest_factor));
}

function maxSlice(consumer: Consumer): number {
  return consumer.max_slice_positions ?? usual_max_slice_positions;
}
