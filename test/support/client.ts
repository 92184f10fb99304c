// An HTTP client as an integrator would write it: a key, an Idempotency-Key on what changes things, JSON both ways.
// Each answer is checked against the OpenAPI document of the server that gave it.
import { randomUUID } from 'node:crypto';
import type { z } from 'zod';
import { type Contract, contractIn } from './contract.ts';

export interface Answer {
  status: number;
  headers: Headers;
  text: string;
  /** the parsed body, when it is JSON */
  body: unknown;
  /** the body, parsed by a schema; for an answer that is not 2xx this throws the problem */
  as: <Schema extends z.ZodType>(schema: Schema) => z.infer<Schema>;
}

export interface RequestOptions {
  /** the Idempotency-Key; null sends none; absent makes a fresh one for what changes things */
  key?: string | null;
  headers?: Record<string, string>;
  /** sent as it is, in place of JSON of the body */
  raw?: string | Uint8Array<ArrayBuffer>;
  /** an answer outside the document is expected: a path or method that does not exist */
  undocumented?: true;
}

/** by the address of the server */
const contracts = new Map<string, Promise<Contract>>();

export class Client {
  readonly url: string;
  readonly api_key: string | null;

  constructor(url: string, api_key: string | null) {
    this.url = url;
    this.api_key = api_key;
  }

  get(path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.send('GET', path, undefined, options);
  }

  post(path: string, body?: unknown, options: RequestOptions = {}): Promise<Answer> {
    return this.send('POST', path, body, options);
  }

  patch(path: string, body: unknown, options: RequestOptions = {}): Promise<Answer> {
    return this.send('PATCH', path, body, options);
  }

  put(path: string, body: unknown, options: RequestOptions = {}): Promise<Answer> {
    return this.send('PUT', path, body, options);
  }

  delete(path: string, options: RequestOptions = {}): Promise<Answer> {
    return this.send('DELETE', path, undefined, options);
  }

  async send(method: string, path: string, body: unknown, options: RequestOptions = {}): Promise<Answer> {
    const headers = new Headers(this.api_key === null ? {} : { Authorization: `Bearer ${this.api_key}` });
    const payload = options.raw ?? (body === undefined ? undefined : JSON.stringify(body));
    if (payload !== undefined) headers.set('Content-Type', 'application/json');
    const key = options.key === undefined && method !== 'GET' ? randomUUID() : options.key;
    if (key !== undefined && key !== null) headers.set('Idempotency-Key', key);
    for (const [name, value] of Object.entries(options.headers ?? {})) headers.set(name, value);
    const response = await fetch(this.url + path, {
      method,
      headers,
      redirect: 'manual',
      ...(payload === undefined ? {} : { body: payload }),
    });
    const text = await response.text();
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      text,
      body: /json/.test(response.headers.get('content-type') ?? '') ? JSON.parse(text) : undefined,
      as: (schema) => {
        if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
        return schema.parse(answer.body);
      },
    };
    if (options.undocumented !== true) (await contractOf(this.url)).check(method, path, answer);
    return answer;
  }
}

function contractOf(url: string): Promise<Contract> {
  const known = contracts.get(url);
  if (known !== undefined) return known;
  const read = fetch(`${url}/openapi.json`).then(async (response) => contractIn(await response.text()));
  contracts.set(url, read);
  return read;
}
