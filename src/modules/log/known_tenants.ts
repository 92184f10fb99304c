// The tenants that this process knows of, and whose logs are due for a look.
import { platform_tenant_id } from '../../db.ts';

/** of those in which nothing happened lately, looked at in one turn */
const idle_tenants_per_turn = 100;
const lately_ms = 60_000;
/** whoever was woken within this runs anyway */
const just_now_ms = 1_000;
const list_page = 1_000;

/** The ids of tenants after one, in their order; fewer than the page when there are no more. The platform's own is not among them. */
export type ListTenants = (page: { after: string | null; row_limit: number }) => Promise<string[]>;

interface KnownTenant {
  looked_at_ms: number;
  woken_at_ms: number;
}

export class KnownTenants {
  readonly #known = new Map<string, KnownTenant>();
  readonly #listTenants: ListTenants;
  /** where the last page of the last list began */
  #last_page_after: string | null = null;

  constructor(listTenants: ListTenants) {
    this.#listTenants = listTenants;
  }

  all(): string[] {
    return [...this.#known.keys()];
  }

  woken(id: string): void {
    this.#of(id).woken_at_ms = performance.now();
  }

  lookedAt(id: string): void {
    this.#of(id).looked_at_ms = performance.now();
  }

  /**
   * Tenants in which something happened lately, and of the others those that nobody has looked at for longest. The platform's is always
   * among them: its log tells of new tenants. One that was woken just now is not, unless somebody may have resumed what is parked there.
   */
  due(isParked: (id: string) => boolean): string[] {
    const now_ms = performance.now();
    const due = [platform_tenant_id];
    const idle: [string, number][] = [];
    for (const [id, { woken_at_ms, looked_at_ms }] of this.#known) {
      if (id === platform_tenant_id) continue;
      if (now_ms - woken_at_ms < just_now_ms && !isParked(id)) continue;
      if (now_ms - woken_at_ms < lately_ms) due.push(id);
      else idle.push([id, looked_at_ms]);
    }
    const longest = idle.sort(([, a], [, b]) => a - b).slice(0, idle_tenants_per_turn);
    return [...due, ...longest.map(([id]) => id)];
  }

  /** The tenants that exist and are not known yet: of all, or of the last that were created. */
  async listNew(of: 'all' | 'last'): Promise<string[]> {
    const found = [platform_tenant_id];
    for (let after = of === 'all' ? null : this.#last_page_after; ; ) {
      const page: string[] = await this.#listTenants({ after, row_limit: list_page });
      found.push(...page);
      this.#last_page_after = after;
      const last = page.at(-1);
      if (last === undefined || page.length < list_page) break;
      after = last;
    }
    return found.filter((id) => !this.#known.has(id));
  }

  #of(id: string): KnownTenant {
    const known = this.#known.get(id) ?? {
      looked_at_ms: Number.NEGATIVE_INFINITY,
      woken_at_ms: Number.NEGATIVE_INFINITY,
    };
    this.#known.set(id, known);
    return known;
  }
}
