// Calls about what is queued. The queue is in the database, so any process may take what is due; what it takes is leased to it for some
// seconds, and it says again and again that it lives. When it is killed, its leases run out and another process goes on, or the next.
//
// Word of new deliveries comes from the consumer in this process; looking around finds the rest: what is due again, what other processes
// queued and did not get to, and what dead ones left behind.

import type { Database } from '../../db.ts';
import { newUuid } from '../../id.ts';
import type { Logger } from '../../log.ts';
import type { SubjectKinds } from '../log/index.ts';
import { type Assignment, attempt } from './attempt.ts';
import type { Caller } from './calls.ts';
import { Desk } from './desk.ts';
import { giveUp } from './giving_up.ts';
import { first_room, type Lane, noteOutcome, roomOf, Turns } from './lanes.ts';
import { type Message, renderMessage } from './message.ts';
import { brief, type Claim, claimDeliveries, listDue, recordAttempts, renewLeases } from './queue.ts';
import { Signers } from './secrets.ts';
import type { Vault } from './vault.ts';
import type { WebhookMetrics } from './webhook_metrics.ts';

/** the least time between two claims of a tenant: what comes in between is taken together */
const claim_interval_ms = 20;
/** deliveries of one claim, and of all tenants that wait in memory */
const claim_size = 500;
const max_waiting = 2_000;
/** claims at once; they are work for the database */
const max_claims = 3;
/** a third of a lease */
const renew_interval_ms = 2_000;
const look_interval_ms = 1_000;
const list_interval_ms = 30_000;
const tenants_per_look = 200;
/** what is collected of outcomes before the database is told */
const record_interval_ms = 15;
const record_size = 250;
/** after it could not be told */
const record_retry_ms = 500;
/** an endpoint of which nothing has succeeded for this long is disabled */
const patience_ms = 5 * 24 * 3_600_000;
/** how long calls that are out may still be answered when the process stops */
const stop_patience_ms = 3_000;

export interface DispatcherOptions {
  database: Database;
  logger: Logger;
  metrics: WebhookMetrics;
  caller: Caller;
  vault: Vault;
  subjectOf: SubjectKinds;
  /** tenants after one, in the order of their ids; fewer than the limit when there are no more */
  listTenants: (page: { after: string | null; row_limit: number }) => Promise<string[]>;
}

export class Dispatcher {
  readonly #options: DispatcherOptions;
  /** leases are in this name */
  readonly #id = newUuid();
  readonly #desks = new Map<string, Desk>();
  readonly #signers: Signers;
  readonly #turns: Turns;
  readonly #stopping = new AbortController();
  readonly #working = new Set<Promise<void>>();
  #claims = 0;
  #timers: NodeJS.Timeout[] = [];
  #is_looking = false;
  #is_renewing = false;
  #is_started = false;
  #is_stopped = false;

  constructor(options: DispatcherOptions) {
    this.#options = options;
    this.#signers = new Signers(options.vault, options.logger);
    this.#turns = new Turns((lane, assignment) => this.#call(lane, assignment));
    options.metrics.observe(() => ({ calling: this.#turns.open, waiting: this.#waiting() }));
  }

  start(): void {
    this.#is_started = true;
    void this.#work('tenants with webhooks could not be listed', () => this.#listTenants());
    this.#timers = [
      setInterval(() => this.#lookAround(), look_interval_ms),
      setInterval(() => {
        void this.#work('tenants with webhooks could not be listed', () => this.#listTenants());
      }, list_interval_ms),
      setInterval(() => {
        void this.#work('leases of webhook deliveries could not be renewed', () => this.#renew());
      }, renew_interval_ms),
    ];
  }

  /** Whether a tenant has an enabled endpoint, as far as this process knows. */
  isServed(tenant_id: string): boolean {
    return this.#desks.has(tenant_id);
  }

  /** It has one, or is about to: the next look finds out. */
  serve(tenant_id: string): void {
    this.#desk(tenant_id);
  }

  /** Something has been queued for a tenant. */
  wake(tenant_id: string): void {
    if (this.#is_started && !this.#is_stopped) this.#want(this.#desk(tenant_id), 'all');
  }

  /** Lets calls that are out be answered for a moment, gives back what has not begun, and records the rest. */
  async stop(): Promise<void> {
    this.#is_stopped = true;
    for (const timer of this.#timers) clearInterval(timer);
    for (const desk of this.#desks.values()) desk.giveBack();
    const cutting = setTimeout(() => this.#stopping.abort(), stop_patience_ms);
    await this.#turns.settled();
    clearTimeout(cutting);
    await Promise.all(this.#working);
    // What cannot be recorded is called about again, by whoever comes next.
    const failure = 'webhook attempts could not be recorded';
    await Promise.all([...this.#desks.values()].map((desk) => this.#work(failure, () => this.#record(desk))));
  }

  #desk(tenant_id: string): Desk {
    const known = this.#desks.get(tenant_id) ?? new Desk(tenant_id);
    this.#desks.set(tenant_id, known);
    return known;
  }

  #waiting(): number {
    let waiting = 0;
    for (const desk of this.#desks.values()) waiting += desk.waiting();
    return waiting;
  }

  /** Does something beside the calls; what fails is tried again at the next occasion. */
  #work(failure: string, work: () => Promise<void>): Promise<void> {
    const working = work()
      .catch((error: unknown) => {
        if (this.#is_stopped) return;
        const message = error instanceof Error ? error.message : String(error);
        this.#options.logger.warn({ error: { message } }, failure);
      })
      .finally(() => this.#working.delete(working));
    this.#working.add(working);
    return working;
  }

  /** `lanes`: of those endpoints that had more than there was room for; `all`: of any. */
  #want(desk: Desk, what: 'lanes' | 'all'): void {
    if (desk.wanted !== 'all') desk.wanted = what;
    if (desk.claim_timer !== null || desk.is_claiming || this.#is_stopped) return;
    const wait_ms = Math.max(0, desk.claimed_ms + claim_interval_ms - performance.now());
    desk.claim_timer = setTimeout(() => {
      desk.claim_timer = null;
      if (this.#claims >= max_claims || this.#waiting() >= max_waiting) {
        desk.claimed_ms = performance.now();
        this.#want(desk, 'lanes');
        return;
      }
      void this.#work('webhook deliveries could not be claimed', () => this.#claim(desk));
    }, wait_ms);
  }

  async #claim(desk: Desk): Promise<void> {
    if (this.#is_stopped || desk.wanted === null) return;
    const { database } = this.#options;
    const is_whole = desk.wanted === 'all';
    desk.wanted = null;
    desk.is_claiming = true;
    this.#claims += 1;
    try {
      const rooms = desk.rooms();
      const claims = await claimDeliveries(database, this.#id, {
        tenant_id: desk.tenant_id,
        rooms,
        other_room: is_whole ? first_room : 0,
        row_limit: claim_size,
      });
      const fresh = claims.filter(({ id }) => !desk.held.has(id));
      desk.noteClaimed(fresh, rooms, is_whole ? first_room : 0);
      if (fresh.length > 0) await this.#assign(desk, fresh);
      // What did not fit into the claim is there still.
      if (claims.length === claim_size) desk.wanted = 'all';
    } finally {
      this.#claims -= 1;
      desk.is_claiming = false;
      desk.claimed_ms = performance.now();
    }
    if (desk.wanted !== null) this.#want(desk, desk.wanted);
  }

  async #assign(desk: Desk, claims: Claim[]): Promise<void> {
    for (const { id, endpoint_id } of claims) desk.held.set(id, endpoint_id);
    try {
      const briefing = await brief(this.#options.database, desk.tenant_id, claims, this.#signers);
      const messages = new Map<string, Message>();
      for (const claim of claims) {
        const endpoint = briefing.endpoints.get(claim.endpoint_id);
        const event = briefing.events.get(claim.position);
        const signers = briefing.signers.get(claim.endpoint_id);
        // Disabled in the meantime, or not to be signed for; it waits.
        if (endpoint === undefined || event === undefined || signers === undefined) {
          desk.release(claim.id);
          continue;
        }
        const key = `${endpoint.format} ${event.position}`;
        const message =
          messages.get(key) ??
          renderMessage(event, this.#options.subjectOf(event.type), desk.tenant_id, endpoint.format);
        messages.set(key, message);
        const { id, attempts } = claim;
        const lane = desk.lane(endpoint.id);
        lane.is_ordered = endpoint.ordering === 'ordered';
        lane.queue.push({ tenant_id: desk.tenant_id, id, attempts, endpoint, signers, event, message });
      }
    } catch (error) {
      // Not one of them is called about: they are free for the next claim, here or elsewhere.
      for (const { id } of claims) desk.release(id);
      this.#recordSoon(desk);
      throw error;
    }
    if (this.#is_stopped) desk.giveBack();
    if (desk.hasNews()) this.#recordSoon(desk);
    for (const endpoint_id of new Set(claims.map((claim) => claim.endpoint_id))) {
      this.#turns.offer(desk.lane(endpoint_id));
    }
  }

  async #call(lane: Lane, assignment: Assignment): Promise<void> {
    const { caller, metrics } = this.#options;
    const desk = this.#desk(assignment.tenant_id);
    const judged = await attempt(assignment, caller, this.#stopping.signal);
    if (judged === null) {
      desk.release(assignment.id);
      return;
    }
    const { outcome, resting_until } = judged;
    metrics.attempted(outcome.fault);
    noteOutcome(lane, outcome.status === 'succeeded');
    if (outcome.status === 'succeeded' && outcome.number === 1) {
      metrics.delivered((Date.now() - Date.parse(assignment.event.recorded_at)) / 1_000);
    }
    desk.outcome(lane, judged);
    if (resting_until !== null || judged.is_gone) desk.giveBackLane(lane);
    this.#recordSoon(desk);
    if (lane.has_more && !lane.is_ordered && roomOf(lane) >= lane.window) this.#want(desk, 'lanes');
  }

  #recordSoon(desk: Desk): void {
    if (this.#is_stopped || desk.is_recording) return;
    const is_many = desk.news.outcomes.length >= record_size;
    if (desk.record_timer !== null && !is_many) return;
    if (desk.record_timer !== null) clearTimeout(desk.record_timer);
    desk.record_timer = setTimeout(
      () => {
        desk.record_timer = null;
        void this.#work('webhook attempts could not be recorded', () => this.#record(desk));
      },
      is_many ? 0 : record_interval_ms,
    );
  }

  async #record(desk: Desk): Promise<void> {
    if (desk.record_timer !== null) clearTimeout(desk.record_timer);
    desk.record_timer = null;
    if (desk.is_recording || !desk.hasNews()) return;
    desk.is_recording = true;
    const news = desk.takeNews();
    let recorded = false;
    try {
      const failing_before = new Date(Date.now() - patience_ms).toISOString();
      const failing = await recordAttempts(this.#options.database, this.#id, desk.tenant_id, {
        ...news,
        endpoints: desk.endpointNews(news),
        failing_before,
      });
      desk.recorded(news);
      recorded = true;
      for (const id of news.gone) await giveUp(this.#options, desk.tenant_id, id, 'gone');
      for (const id of failing) await giveUp(this.#options, desk.tenant_id, id, 'failing');
    } catch (error) {
      // It is recorded with what comes next; where the lease has run out meanwhile, another process calls again.
      if (!recorded) desk.putBack(news);
      desk.record_timer = setTimeout(() => {
        desk.record_timer = null;
        this.#recordSoon(desk);
      }, record_retry_ms);
      throw error;
    } finally {
      desk.is_recording = false;
    }
    if (desk.hasNews()) this.#recordSoon(desk);
    if (desk.hasMoreOrdered(news)) this.#want(desk, 'lanes');
  }

  async #renew(): Promise<void> {
    const held = [...this.#desks.values()].flatMap((desk) =>
      [...desk.held, ...desk.recording].map(([id, endpoint_id]) => ({
        tenant_id: desk.tenant_id,
        id,
        endpoint_id,
      })),
    );
    if (held.length === 0 || this.#is_renewing) return;
    this.#is_renewing = true;
    try {
      await renewLeases(this.#options.database, this.#id, held);
    } finally {
      this.#is_renewing = false;
    }
  }

  #lookAround(): void {
    if (this.#is_looking) return;
    this.#is_looking = true;
    void this.#work('due webhook deliveries could not be looked for', () =>
      this.#look([...this.#desks.keys()]).finally(() => {
        this.#is_looking = false;
      }),
    );
  }

  /** Wakes those of these tenants for which something is due, and remembers those that have endpoints. */
  async #look(tenant_ids: string[]): Promise<void> {
    for (let at = 0; at < tenant_ids.length && !this.#is_stopped; at += tenants_per_look) {
      const some = tenant_ids.slice(at, at + tenants_per_look);
      const due = await listDue(this.#options.database, some);
      for (const { tenant_id, due_in_ms } of due) {
        const desk = this.#desk(tenant_id);
        if (due_in_ms !== null && due_in_ms < look_interval_ms) this.#want(desk, 'all');
      }
      const with_endpoints = new Set(due.map(({ tenant_id }) => tenant_id));
      for (const tenant_id of some) {
        const desk = this.#desks.get(tenant_id);
        desk?.forgetIdle();
        if (desk?.isIdle() === true && !with_endpoints.has(tenant_id)) this.#desks.delete(tenant_id);
      }
    }
  }

  async #listTenants(): Promise<void> {
    for (let after: string | null = null; !this.#is_stopped; ) {
      const page: string[] = await this.#options.listTenants({ after, row_limit: tenants_per_look });
      await this.#look(page.filter((id) => !this.#desks.has(id)));
      const last = page.at(-1);
      if (last === undefined || page.length < tenants_per_look) return;
      after = last;
    }
  }
}
