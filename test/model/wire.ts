// A client for loads: many requests at once over kept connections, bytes as they came, nothing parsed.
import { Pool } from 'undici';

export interface WireAnswer {
  status: number;
  text: string;
  replayed: boolean;
  retry_after: string | null;
}

export class Wire {
  readonly #pool: Pool;
  readonly #api_key: string;

  constructor(url: string, api_key: string, connections: number) {
    this.#pool = new Pool(url, { connections, pipelining: 1 });
    this.#api_key = api_key;
  }

  async send(
    method: 'POST' | 'PATCH' | 'GET',
    path: string,
    body?: unknown,
    key?: string,
  ): Promise<WireAnswer> {
    const response = await this.#pool.request({
      method,
      path,
      headers: {
        authorization: `Bearer ${this.#api_key}`,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(key === undefined ? {} : { 'idempotency-key': key }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.body.text();
    const retry_after = response.headers['retry-after'];
    return {
      status: response.statusCode,
      text,
      replayed: response.headers['idempotent-replayed'] === 'true',
      retry_after: typeof retry_after === 'string' ? retry_after : null,
    };
  }

  close(): Promise<void> {
    return this.#pool.destroy();
  }
}
