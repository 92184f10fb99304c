// What a process has so much of and no more. One tenant may have half of it, so that there is always some left for the others.

export class Shares {
  readonly #whole: number;
  readonly #by_tenant = new Map<string, number>();
  #taken = 0;

  constructor(whole: number) {
    this.#whole = whole;
  }

  /** Whether there was so much left for the tenant; only then it is taken, and has to be given back. */
  take(tenant_id: string, amount: number): boolean {
    const of_tenant = (this.#by_tenant.get(tenant_id) ?? 0) + amount;
    if (this.#taken + amount > this.#whole || of_tenant > this.#whole / 2) return false;
    this.#by_tenant.set(tenant_id, of_tenant);
    this.#taken += amount;
    return true;
  }

  giveBack(tenant_id: string, amount: number): void {
    const left = (this.#by_tenant.get(tenant_id) ?? 0) - amount;
    if (left > 0) this.#by_tenant.set(tenant_id, left);
    else this.#by_tenant.delete(tenant_id);
    this.#taken -= amount;
  }
}
