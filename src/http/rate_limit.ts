// Token buckets in this process: for API keys, so that one runaway client does not take what the others need, and for addresses that fail to log in.
import { isIPv6 } from 'node:net';
import { Problem } from '../errors.ts';

/** buckets kept, some 200 bytes each; whose bucket has to make room begins with a full one */
const kept_buckets = 10_000;

export interface RateLimit {
  /** as in `RateLimit-Policy` */
  name: string;
  /** what a full bucket holds, and what flows in during one window */
  quota: number;
  window_seconds: number;
  /** of the problem */
  detail: string;
}

interface Bucket {
  tokens: number;
  filled_ms: number;
}

export class RateLimiter {
  readonly #limit: RateLimit;
  readonly #policy: string;
  /** oldest first */
  readonly #buckets = new Map<string, Bucket>();

  constructor(limit: RateLimit) {
    this.#limit = limit;
    this.#policy = `"${limit.name}";q=${limit.quota};w=${limit.window_seconds}`;
  }

  get size(): number {
    return this.#buckets.size;
  }

  /** Takes one token and answers the headers that say how many are left. Errors: `rate_limited`. */
  take(of: string, now_ms: number): readonly string[] {
    const { name, quota, window_seconds, detail } = this.#limit;
    const bucket = this.#buckets.get(of) ?? this.#fill(of, now_ms);
    const gained = ((now_ms - bucket.filled_ms) / 1000) * (quota / window_seconds);
    bucket.tokens = Math.min(quota, bucket.tokens + gained);
    bucket.filled_ms = now_ms;
    if (bucket.tokens < 1) {
      const wait_seconds = Math.ceil(((1 - bucket.tokens) * window_seconds) / quota);
      throw new Problem('rate_limited', detail, {
        headers: {
          'Retry-After': `${wait_seconds}`,
          'RateLimit-Policy': this.#policy,
          RateLimit: `"${name}";r=0;t=${wait_seconds}`,
        },
      });
    }
    bucket.tokens -= 1;
    const left = Math.floor(bucket.tokens);
    return ['RateLimit-Policy', this.#policy, 'RateLimit', `"${name}";r=${left};t=${window_seconds}`];
  }

  #fill(of: string, now_ms: number): Bucket {
    if (this.#buckets.size >= kept_buckets) {
      const [oldest] = this.#buckets.keys();
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    const bucket = { tokens: this.#limit.quota, filled_ms: now_ms };
    this.#buckets.set(of, bucket);
    return bucket;
  }
}

/** What one client can call from as it likes: an IPv4 address, of an IPv6 address the network of 64 bits. */
export function networkOf(address: string): string {
  const plain = address.replace(/^::ffff:(?=[0-9.]+$)/i, '');
  if (!isIPv6(plain)) return plain;
  const [front = [], back = []] = plain
    .split('::')
    .map((half) => half.split(':').filter((group) => group !== ''));
  const zeros = Array.from({ length: Math.max(0, 8 - front.length - back.length) }, () => '0');
  return [...front, ...zeros, ...back].slice(0, 4).join(':');
}
