// Tenants whose logs have grown while nobody wants what a consumer would make of them. They are passed over now and then, many in one
// statement, instead of each by a slice of its own.
import type { Consumer, PassedOver, Quiet } from '../../consumer.ts';

const interval_ms = 1_000;
const tenants_per_pass = 100;

export interface QuietOptions {
  onPassedOver: (consumer: Consumer, passed: PassedOver) => void;
  onTrouble: (consumer: Consumer, error: unknown) => void;
}

export class QuietTenants {
  readonly #options: QuietOptions;
  readonly #grown = new Map<Consumer, Set<string>>();
  #timer: NodeJS.Timeout | null = null;
  #passing: Promise<void> = Promise.resolve();
  #is_stopped = false;

  constructor(options: QuietOptions) {
    this.#options = options;
  }

  note(consumer: Consumer, tenant_id: string): void {
    const known = this.#grown.get(consumer);
    if (known === undefined) this.#grown.set(consumer, new Set([tenant_id]));
    else known.add(tenant_id);
    this.#passSoon();
  }

  async stop(): Promise<void> {
    this.#is_stopped = true;
    if (this.#timer !== null) clearTimeout(this.#timer);
    await this.#passing;
  }

  #passSoon(): void {
    if (this.#is_stopped || this.#grown.size === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#passing = this.#pass().finally(() => {
        this.#timer = null;
        this.#passSoon();
      });
    }, interval_ms);
  }

  async #pass(): Promise<void> {
    for (const [consumer, grown] of [...this.#grown]) {
      this.#grown.delete(consumer);
      if (consumer.quiet !== undefined) await this.#passAll(consumer, consumer.quiet, [...grown]);
    }
  }

  async #passAll(consumer: Consumer, quiet: Quiet, tenant_ids: string[]): Promise<void> {
    for (let at = 0; at < tenant_ids.length && !this.#is_stopped; at += tenants_per_pass) {
      try {
        const passed = await quiet.passOver(tenant_ids.slice(at, at + tenants_per_pass));
        for (const each of passed) this.#options.onPassedOver(consumer, each);
      } catch (error) {
        for (const id of tenant_ids.slice(at)) this.note(consumer, id);
        this.#options.onTrouble(consumer, error);
        return;
      }
    }
  }
}
