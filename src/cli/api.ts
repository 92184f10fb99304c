// The public API as the command line calls it: the routes, keys and problems that customers have.
import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Config } from '../config.ts';
import { UsageError } from './command.ts';

/** What `start` leaves in the data directory: demo.json and platform.json. */
const KeptSchema = z.object({
  url: z.string().optional(),
  tenant_id: z.string().optional(),
  api_key: z.string(),
});

const ProblemSchema = z.looseObject({ code: z.string(), detail: z.string(), retryable: z.boolean() });

/** The API said no. */
export class Refused extends Error {
  readonly code: string;
  /** whether the same request may succeed later */
  readonly retryable: boolean;

  constructor(problem: z.infer<typeof ProblemSchema>) {
    super(`${problem.code}: ${problem.detail}`);
    this.code = problem.code;
    this.retryable = problem.retryable;
  }
}

/** of a proxy in front of a Lattice that does not answer it */
const gateway_statuses = [502, 503, 504];

/** Whether the API has done what it was asked is not known. */
export class NoAnswer extends Error {}

export interface Api {
  url: string;
  get: <Answer extends z.ZodType>(
    path: string,
    answer: Answer,
    signal?: AbortSignal,
  ) => Promise<z.infer<Answer>>;
  post: <Answer extends z.ZodType>(
    path: string,
    body: unknown,
    answer: Answer,
    /** the Idempotency-Key; a fresh one when absent */
    key?: string,
  ) => Promise<z.infer<Answer>>;
}

export function createApi(url: string, api_key: string): Api {
  const send = async (path: string, init: RequestInit) => {
    const headers = { Authorization: `Bearer ${api_key}`, ...init.headers };
    const request = { ...init, headers };
    const { response, text } = await exchange(new URL(path, url), request).catch((error: unknown) => {
      const reason =
        error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new NoAnswer(`no answer from ${url} (${reason.trim()}): is Lattice started, and is --url right?`);
    });
    const is_json = response.headers.get('content-type')?.includes('json') === true;
    if (!is_json) {
      const said = `${url} answered ${response.status} without JSON: is it Lattice?`;
      throw gateway_statuses.includes(response.status) ? new NoAnswer(said) : new Error(said);
    }
    const body: unknown = JSON.parse(text);
    if (response.ok) return body;
    const problem = ProblemSchema.safeParse(body);
    if (problem.success) throw new Refused(problem.data);
    throw new Error(`${url} answered ${response.status} without a problem of Lattice: is it Lattice?`);
  };
  return {
    url,
    get: async (path, answer, signal) =>
      answer.parse(await send(path, signal === undefined ? {} : { signal })),
    post: async (path, body, answer, key = randomUUID()) =>
      answer.parse(
        await send(path, {
          method: 'POST',
          headers: {
            ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
            'Idempotency-Key': key,
          },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        }),
      ),
  };
}

/** An answer of which only a part arrives is none. */
async function exchange(url: URL, init: RequestInit): Promise<{ response: Response; text: string }> {
  const response = await fetch(url, init);
  return { response, text: await response.text() };
}

/** The options of every command that calls the API. */
export const api_options = {
  url: z
    .url({ protocol: /^https?$/, error: 'expected http://host:port' })
    .optional()
    .describe('where Lattice answers; else LATTICE_URL, else that of the data directory'),
  key: z.string().optional().describe('the API key; else LATTICE_API_KEY, else that of the data directory'),
};

/** The tenant's API: from the options, else the environment, else the demo tenant of the data directory, which production has not. */
export function openApi(input: { url?: string | undefined; key?: string | undefined }, config: Config): Api {
  return resolveApi(input, config, 'demo.json', config.LATTICE_API_KEY);
}

/** The API with the platform's key: from the options, else the environment, else the data directory. */
export function openPlatformApi(
  input: { url?: string | undefined; key?: string | undefined },
  config: Config,
): Api {
  return resolveApi(input, config, 'platform.json', config.LATTICE_PLATFORM_KEY);
}

function resolveApi(
  input: { url?: string | undefined; key?: string | undefined },
  config: Config,
  file: string,
  environment_key: string | undefined,
): Api {
  const kept = config.NODE_ENV === 'production' ? null : maybeKept(join(config.LATTICE_DATA_DIR, file));
  const url = input.url ?? config.LATTICE_URL ?? kept?.url;
  const key = input.key ?? environment_key ?? kept?.api_key;
  if (url === undefined) throw new UsageError('where is Lattice? give --url or set LATTICE_URL');
  const name = file === 'demo.json' ? 'LATTICE_API_KEY' : 'LATTICE_PLATFORM_KEY';
  if (key === undefined) throw new UsageError(`which key? give --key or set ${name}`);
  // What no header may have is told here, without the key, which fetch would repeat.
  if (!/^[\x21-\x7e]+$/.test(key)) {
    throw new UsageError(`the key of --key or ${name} has a character that no key has`);
  }
  return createApi(url, key);
}

/** Null where `start` has left none. */
export function maybeKept(path: string): z.infer<typeof KeptSchema> | null {
  if (!existsSync(path)) return null;
  const text = readFileSync(path, 'utf8');
  try {
    return KeptSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(`${path} is damaged: delete it, and the next start writes it anew`, { cause });
  }
}
