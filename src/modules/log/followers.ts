// The followers of a process, tenant by tenant: one for each consumer.
import type { Consumer } from '../../consumer.ts';
import { type Follower, newFollower } from './follower.ts';

export class Followers {
  readonly #consumers: Consumer[];
  readonly #of = new Map<string, Follower[]>();

  constructor(consumers: Consumer[]) {
    this.#consumers = consumers;
  }

  *[Symbol.iterator](): Generator<Follower> {
    for (const followers of this.#of.values()) yield* followers;
  }

  of(tenant_id: string): Follower[] {
    const known = this.#of.get(tenant_id);
    if (known !== undefined) return known;
    const followers = this.#consumers.map((consumer) => newFollower(tenant_id, consumer));
    this.#of.set(tenant_id, followers);
    return followers;
  }

  find(tenant_id: string, consumer: string): Follower {
    const found = this.of(tenant_id).find((each) => each.consumer.name === consumer);
    if (found === undefined) throw new Error(`there is no consumer ${consumer}`);
    return found;
  }

  isParked(tenant_id: string): boolean {
    return this.#of.get(tenant_id)?.some(({ is_parked }) => is_parked) ?? false;
  }

  /** Somebody may have resumed them: who looks finds out. */
  unpark(tenant_ids: string[]): void {
    for (const id of tenant_ids) for (const follower of this.#of.get(id) ?? []) follower.is_parked = false;
  }

  /** What has nothing to do and had nothing for a while need not be remembered. */
  forget(idle_ms: number): void {
    const since_ms = performance.now() - idle_ms;
    const isIdle = ({ state, timer, woken, is_parked, used_ms }: Follower) =>
      state === 'resting' && timer === null && !woken && !is_parked && used_ms < since_ms;
    for (const [tenant_id, followers] of this.#of) {
      if (followers.every(isIdle)) this.#of.delete(tenant_id);
    }
  }
}
