// A small client of the public API: JSON in and out, a key with each write, and a problem as an error that says what was refused.
import { z } from 'zod';

const ProblemSchema = z.object({ code: z.string(), detail: z.string() });

export class RequestRefused extends Error {
  readonly code: string;

  constructor(method: string, path: string, problem: z.infer<typeof ProblemSchema>) {
    super(`${method} ${path}: ${problem.code}: ${problem.detail}`);
    this.name = 'RequestRefused';
    this.code = problem.code;
  }
}

export class Client {
  readonly #url: string;
  readonly #api_key: string;

  constructor(url: string, api_key: string) {
    this.#url = url;
    this.#api_key = api_key;
  }

  async get<Answer extends z.ZodType>(path: string, answer: Answer): Promise<z.infer<Answer>> {
    return this.#send('GET', path, {}, null, answer);
  }

  async post<Answer extends z.ZodType>(
    path: string,
    idempotency_key: string,
    body: string,
    answer: Answer,
  ): Promise<z.infer<Answer>> {
    const headers = { 'Content-Type': 'application/json', 'Idempotency-Key': idempotency_key };
    return this.#send('POST', path, headers, body, answer);
  }

  async #send<Answer extends z.ZodType>(
    method: string,
    path: string,
    headers: Record<string, string>,
    body: string | null,
    answer: Answer,
  ): Promise<z.infer<Answer>> {
    const response = await fetch(new URL(path, this.#url), {
      method,
      headers: { Authorization: `Bearer ${this.#api_key}`, ...headers },
      body,
    }).catch((error: unknown) => {
      const reason =
        error instanceof Error && error.cause instanceof Error ? error.cause.message : 'no request';
      throw new Error(
        `no answer from ${this.#url} (${reason}): is Lattice started, and are --url and --key right?`,
      );
    });
    const document: unknown = await response.json().catch(() => null);
    if (response.ok && document !== null) return answer.parse(document);
    const problem = ProblemSchema.safeParse(document);
    if (problem.success) throw new RequestRefused(method, path, problem.data);
    throw new Error(`${this.#url} answered ${response.status} in words that are not Lattice's`);
  }
}
