import { createHash } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type Api, api_options, NoAnswer, openApi, Refused } from './api.ts';
import { command, UsageError } from './command.ts';
import { FileRefused, type Format, formatOf, type Line, readLines } from './load_file.ts';
import type { Output } from './output.ts';

/** below the route's 32 MiB, whatever the lines hold */
const chunk_bytes_max = 8_000_000;
const chunk_items_max = 10_000;
const refusals_shown = 50;
/** A server that restarts is ready again well within this. */
const attempts_max = 8;

const ResultsSchema = z.object({
  results: z.array(
    z.object({
      status: z.number(),
      problem: z
        .looseObject({
          code: z.string(),
          detail: z.string(),
          errors: z.array(z.looseObject({ detail: z.string() })).optional(),
        })
        .optional(),
    }),
  ),
});

interface Refusal {
  line: number;
  code: string;
  detail: string;
}

interface Tally {
  lines: number;
  accepted: number;
  refused: Refusal[];
}

export const loadCommand = command({
  name: 'load',
  summary:
    'Posts the transactions of an NDJSON or CSV file in bulk; again changes nothing, so it can be resumed',
  positionals: ['file'],
  input: z.object({
    file: z.string().describe('one transaction per line, as POST /v1/transactions takes it'),
    format: z.enum(['ndjson', 'csv']).optional().describe("absent means by the file's name"),
    chunk_size: z.coerce
      .number()
      .int()
      .min(1)
      .max(chunk_items_max)
      .default(1_000)
      .describe('lines per request'),
    attempt: z.coerce
      .number()
      .int()
      .min(1)
      .max(100)
      .default(1)
      .describe('a refusal is final for its key: 2 gives the lines refused at 1 a new one, and so on'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const format = input.format ?? formatOf(input.file);
    if (format === null)
      throw new UsageError('--format is missing: the name ends in neither .ndjson nor .csv');
    if (!existsSync(input.file)) throw new Error(`there is no file ${input.file}`);
    const api = openApi(input, config);
    const tally = await load(api, { ...input, format }, output);
    report(tally, output);
    return tally.refused.length === 0 ? 0 : 1;
  },
});

async function load(
  api: Api,
  options: { file: string; format: Format; chunk_size: number; attempt: number },
  output: Output,
): Promise<Tally> {
  const tally: Tally = { lines: 0, accepted: 0, refused: [] };
  const size_bytes = statSync(options.file).size;
  const began = performance.now();
  let chunk: Line[] = [];
  let chunk_bytes = 0;
  const flush = async () => {
    await postChunk(api, chunk, options.attempt, tally);
    const read_bytes = chunk.at(-1)?.read_bytes ?? size_bytes;
    output.progress(progressText(tally, read_bytes / size_bytes, performance.now() - began));
    chunk = [];
    chunk_bytes = 0;
  };
  try {
    for await (const line of readLines(options.file, options.format)) {
      tally.lines += 1;
      if (line.refusal !== null) tally.refused.push({ line: line.number, ...line.refusal });
      if (line.item === null) continue;
      chunk.push(line);
      chunk_bytes += JSON.stringify(line.item).length;
      if (chunk.length >= options.chunk_size || chunk_bytes >= chunk_bytes_max) await flush();
    }
    if (chunk.length > 0) await flush();
  } catch (error) {
    if (error instanceof FileRefused) throw new Error(`${options.file}: ${error.message}`);
    const done = `${tally.accepted.toLocaleString('en')} transactions are posted; the same command goes on from there`;
    throw new Error(`${error instanceof Error ? error.message : String(error)} (${done})`);
  } finally {
    output.progress('');
  }
  return tally;
}

/** Posts with the keys of the first attempt; what was refused is then asked with those of the next, so no line is ever posted twice. */
async function postChunk(api: Api, lines: Line[], attempt: number, tally: Tally): Promise<void> {
  let waiting = lines;
  for (let number = 1; number <= attempt; number += 1) {
    const refused: { line: Line; refusal: Refusal }[] = [];
    const { results } = await postItems(
      api,
      waiting.map(({ item }) =>
        number === 1 ? item : { ...item, idempotency_key: `${item?.idempotency_key}#${number}` },
      ),
    );
    for (const [index, line] of waiting.entries()) {
      const problem = results[index]?.problem;
      if (problem === undefined) {
        tally.accepted += 1;
        continue;
      }
      const details = [problem.detail, ...(problem.errors ?? []).map((error) => error.detail)];
      const detail = [...new Set(details)].join(': ');
      refused.push({ line, refusal: { line: line.number, code: problem.code, detail } });
    }
    waiting = refused.map(({ line }) => line);
    if (number === attempt) tally.refused.push(...refused.map(({ refusal }) => refusal));
    if (waiting.length === 0) return;
  }
}

/** The key of the request is made of its content, so it can be asked again when the answer was lost. */
async function postItems(api: Api, transactions: unknown[]): Promise<z.infer<typeof ResultsSchema>> {
  const body = { atomic: false, transactions };
  const key = `load:${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}`;
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await api.post('/v1/transactions/bulk', body, ResultsSchema, key);
    } catch (error) {
      const is_passing = error instanceof NoAnswer || (error instanceof Refused && error.retryable);
      if (!is_passing || attempt === attempts_max) throw error;
    }
    await delay(100 * 2 ** attempt);
  }
}

function progressText(tally: Tally, share: number, elapsed_ms: number): string {
  const width = 30;
  const filled = Math.round(Math.min(share, 1) * width);
  const rate = Math.round((tally.lines * 1_000) / Math.max(elapsed_ms, 1));
  const refused = tally.refused.length === 0 ? '' : `, ${tally.refused.length.toLocaleString('en')} refused`;
  return `[${'='.repeat(filled).padEnd(width)}] ${Math.round(share * 100)} %  ${tally.lines.toLocaleString('en')} lines, ${rate.toLocaleString('en')}/s${refused}`;
}

function report({ lines, accepted, refused }: Tally, output: Output): void {
  const sorted = refused.toSorted((a, b) => a.line - b.line);
  for (const { line, code, detail } of sorted.slice(0, refusals_shown)) {
    output.line(`line ${line}: ${code}: ${detail}`);
  }
  if (sorted.length > refusals_shown)
    output.line(`… and ${sorted.length - refusals_shown} more; --json lists them all`);
  output.line(
    `${lines.toLocaleString('en')} lines: ${accepted.toLocaleString('en')} accepted, ${refused.length.toLocaleString('en')} refused`,
  );
  output.json({ lines, accepted, refused: sorted });
}
