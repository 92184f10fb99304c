// What a process has in its hands of one tenant: lanes, leases, and what the database has not been told yet.
import type { Assignment, Judged } from './attempt.ts';
import { isBusy, type Lane, newLane, roomOf } from './lanes.ts';
import type { Claim, EndpointNews, Outcome } from './queue.ts';

/** a lane that has had nothing to do for this long is forgotten */
const idle_ms = 60_000;

interface News {
  outcomes: Outcome[];
  /** deliveries that were leased and not called about */
  released: string[];
  /** endpoint → what its last call says of it */
  endpoints: Map<string, { is_failing: boolean; resting_until: string | null }>;
  /** endpoints that answered that they are gone */
  gone: Set<string>;
}

const noNews = (): News => ({ outcomes: [], released: [], endpoints: new Map(), gone: new Set() });

export class Desk {
  readonly tenant_id: string;
  /** delivery → endpoint; leased to this process */
  readonly held = new Map<string, string>();
  /** what the database is being told of; still leased */
  readonly recording = new Map<string, string>();
  news: News = noNews();
  wanted: 'lanes' | 'all' | null = null;
  claimed_ms = Number.NEGATIVE_INFINITY;
  claim_timer: NodeJS.Timeout | null = null;
  is_claiming = false;
  record_timer: NodeJS.Timeout | null = null;
  is_recording = false;
  readonly #lanes = new Map<string, Lane>();

  constructor(tenant_id: string) {
    this.tenant_id = tenant_id;
  }

  lane(endpoint_id: string): Lane {
    const known = this.#lanes.get(endpoint_id) ?? newLane(this.tenant_id, endpoint_id);
    this.#lanes.set(endpoint_id, known);
    return known;
  }

  waiting(): number {
    let waiting = 0;
    for (const { queue } of this.#lanes.values()) waiting += queue.length;
    return waiting;
  }

  rooms(): Map<string, number> {
    return new Map([...this.#lanes].map(([id, lane]) => [id, roomOf(lane)]));
  }

  /** Which endpoints had as much as there was room for. */
  noteClaimed(claims: Claim[], rooms: Map<string, number>, other_room: number): void {
    const counts = new Map<string, number>();
    for (const { endpoint_id } of claims) counts.set(endpoint_id, (counts.get(endpoint_id) ?? 0) + 1);
    for (const [id, room] of rooms) if (room > 0) this.lane(id).has_more = counts.get(id) === room;
    for (const [id, count] of counts) if (!rooms.has(id)) this.lane(id).has_more = count >= other_room;
  }

  outcome(lane: Lane, { outcome, resting_until, is_gone }: Judged): void {
    lane.unrecorded += 1;
    this.news.outcomes.push(outcome);
    this.news.endpoints.set(lane.endpoint_id, { is_failing: outcome.status !== 'succeeded', resting_until });
    if (is_gone) this.news.gone.add(lane.endpoint_id);
  }

  release(id: string): void {
    this.news.released.push(id);
  }

  giveBackLane(lane: Lane): void {
    for (const { id } of lane.queue.splice(0) satisfies Assignment[]) this.release(id);
  }

  giveBack(): void {
    if (this.claim_timer !== null) clearTimeout(this.claim_timer);
    this.claim_timer = null;
    for (const lane of this.#lanes.values()) this.giveBackLane(lane);
  }

  hasNews(): boolean {
    return this.news.outcomes.length + this.news.released.length > 0;
  }

  /** What it takes is not ours any more: as soon as the database knows, anybody may claim it again, we too. */
  takeNews(): News {
    const { news } = this;
    this.news = noNews();
    for (const { id, endpoint_id } of news.outcomes) {
      this.held.delete(id);
      this.recording.set(id, endpoint_id);
    }
    for (const id of news.released) this.held.delete(id);
    return news;
  }

  /** What could not be recorded is still to be; what was heard since then is newer. */
  putBack(news: News): void {
    this.news = {
      outcomes: [...news.outcomes, ...this.news.outcomes],
      released: [...news.released, ...this.news.released],
      endpoints: new Map([...news.endpoints, ...this.news.endpoints]),
      gone: new Set([...news.gone, ...this.news.gone]),
    };
    this.recording.clear();
    for (const { id, endpoint_id } of news.outcomes) this.held.set(id, endpoint_id);
  }

  /** What is told of the endpoints: also of those that somebody else may take now. */
  endpointNews(news: News): EndpointNews[] {
    return [...news.endpoints].map(([endpoint_id, told]) => {
      const { queue, calling } = this.lane(endpoint_id);
      const is_idle = queue.length + calling === 0 && !this.news.endpoints.has(endpoint_id);
      return { endpoint_id, ...told, is_idle };
    });
  }

  recorded(news: News): void {
    this.recording.clear();
    for (const { endpoint_id } of news.outcomes) this.lane(endpoint_id).unrecorded -= 1;
  }

  /** Whether one that is ordered, and has just become free, had more. */
  hasMoreOrdered(news: News): boolean {
    return [...news.endpoints.keys()].some((id) => {
      const lane = this.lane(id);
      return lane.is_ordered && lane.has_more && !isBusy(lane);
    });
  }

  forgetIdle(): void {
    const now_ms = performance.now();
    for (const [id, lane] of this.#lanes) {
      if (!isBusy(lane) && now_ms - lane.used_ms > idle_ms) this.#lanes.delete(id);
    }
  }

  isIdle(): boolean {
    return this.held.size === 0 && !this.hasNews() && this.claim_timer === null && !this.is_claiming;
  }
}
