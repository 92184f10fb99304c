// The followers of a process, tenant by tenant: one for each consumer.
import type { Applied, Consumer } from '../../consumer.ts';
import { type Follower, newFollower, noteHead } from './follower.ts';

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

  /** Those that a follower may take along, and that are behind: it did not, or more has come. */
  leftBeside({ tenant_id, consumer }: Follower): Follower[] {
    const { takes_along = [] } = consumer;
    if (takes_along.length === 0) return [];
    return this.of(tenant_id).filter(
      (each) => takes_along.includes(each.consumer.name) && each.position !== each.head_position,
    );
  }

  /** Notes where it stands after a slice, and those that went along; answers by how many positions each has come further. */
  move(
    { tenant_id, consumer }: Follower,
    { along = [], position, head_position }: Applied,
  ): [name: string, positions: number][] {
    if (position === null || head_position === null) return [];
    return [consumer.name, ...along].map((name) => {
      const moved = this.find(tenant_id, name);
      // It may stand further back than it did: what a crash of the database took from it is applied again, and so is a projection that was dropped.
      const positions = Math.max(0, position - (moved.position ?? position));
      moved.position = position;
      noteHead(moved, head_position);
      return [name, positions];
    });
  }

  /** Whether it needs no slice of its own: one that leads stands where it stands, and will take it along. */
  goesAlong({ tenant_id, consumer, position, failures }: Follower): boolean {
    if (position === null || failures > 0) return false;
    return this.of(tenant_id).some(
      (each) =>
        each.leads &&
        each.position === position &&
        each.consumer.takes_along?.includes(consumer.name) === true,
    );
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
