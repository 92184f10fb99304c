// A token bucket per API key, in this process: it keeps one runaway client from taking what the others need.
import { Problem } from '../errors.ts';

/** buckets kept before full ones are dropped */
const kept_buckets = 10_000;

interface Bucket {
  tokens: number;
  filled_ms: number;
}

export class RateLimiter {
  readonly #per_second: number;
  readonly #policy: string;
  readonly #buckets = new Map<string, Bucket>();

  /** A bucket holds what a key may use in one second. */
  constructor(per_second: number) {
    this.#per_second = per_second;
    this.#policy = `"key";q=${per_second};w=1`;
  }

  /** Takes one token and answers the headers that say how many are left. Errors: `rate_limited`. */
  take(key_id: string, now_ms: number): readonly string[] {
    const bucket = this.#buckets.get(key_id) ?? this.#fill(key_id, now_ms);
    const gained = ((now_ms - bucket.filled_ms) / 1000) * this.#per_second;
    bucket.tokens = Math.min(this.#per_second, bucket.tokens + gained);
    bucket.filled_ms = now_ms;
    if (bucket.tokens < 1) {
      throw new Problem('rate_limited', `A key may send ${this.#per_second} requests a second`, {
        headers: { 'Retry-After': '1', 'RateLimit-Policy': this.#policy, RateLimit: '"key";r=0;t=1' },
      });
    }
    bucket.tokens -= 1;
    return ['RateLimit-Policy', this.#policy, 'RateLimit', `"key";r=${Math.floor(bucket.tokens)};t=1`];
  }

  #fill(key_id: string, now_ms: number): Bucket {
    if (this.#buckets.size >= kept_buckets) {
      // After a second without requests a bucket is full, and as good as none.
      for (const [other, { filled_ms }] of this.#buckets) {
        if (now_ms - filled_ms > 1_000) this.#buckets.delete(other);
      }
    }
    const bucket = { tokens: this.#per_second, filled_ms: now_ms };
    this.#buckets.set(key_id, bucket);
    return bucket;
  }
}
