// The connections on which calls of the group commit are sent: one for plain batches of all tenants, and some for atomic groups, each of one
// tenant at a time, so that a large group does not stop the others.
import { pipe_count } from '../../db.ts';
import type { TenantQueue } from './lanes.ts';

/** Calls on their way at once in each: one that is worked on, and one behind it. */
export const max_calls = 2;

export interface Way {
  pipe: number;
  /** in the database, on their way there, or being prepared */
  calls: number;
  is_preparing: boolean;
  /** whose groups these are; null in the way of plain batches, and when there are none */
  queue: TenantQueue | null;
}

export class Ways {
  readonly plain = newWay(0);
  readonly #groups = Array.from({ length: pipe_count - 1 }, (_, index) => newWay(index + 1));

  get areIdle(): boolean {
    return [this.plain, ...this.#groups].every(({ calls }) => calls === 0);
  }

  /** On which groups of the tenant are under way. */
  maybeOf(queue: TenantQueue): Way | null {
    return this.#groups.find((way) => way.queue === queue) ?? null;
  }

  /** Begins the next group of each of these tenants, in order, and answers those for which there is no way yet. */
  beginGroups(queues: TenantQueue[], begin: (queue: TenantQueue, way: Way) => void): TenantQueue[] {
    let others_wait = false;
    return queues.filter((queue) => {
      const own = this.maybeOf(queue);
      const way = own ?? this.#groups.find((each) => each.queue === null) ?? null;
      // Whoever has a way leaves it to those who have waited longer for one.
      if (way === null || way.calls >= max_calls || (own !== null && others_wait)) {
        others_wait ||= own === null;
        return true;
      }
      begin(queue, way);
      return false;
    });
  }
}

function newWay(pipe: number): Way {
  return { pipe, calls: 0, is_preparing: false, queue: null };
}
