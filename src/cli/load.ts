import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { basename } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { z } from 'zod';
import { type Api, api_options, NoAnswer, openApi, Refused } from './api.ts';
import { command, UsageError } from './command.ts';
import {
  csv_columns,
  detailOf,
  FileRefused,
  type Format,
  formatOf,
  type Line,
  readLines,
} from './load_file.ts';
import { checkNamed } from './named_file.ts';
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
      transaction: z.looseObject({ position: z.number() }).optional(),
      problem: z
        .looseObject({
          code: z.string(),
          detail: z.string(),
          errors: z.array(z.looseObject({ pointer: z.string(), detail: z.string() })).optional(),
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

const NewestSchema = z.object({ data: z.array(z.looseObject({ position: z.number() })) });

interface Tally {
  batch: string;
  lines: number;
  /** transactions that were added since this run began: by it, or by another run of the batch at the same time, which counts them too */
  posted: number;
  /** transactions that were there when it began */
  unchanged: number;
  /** holds that are voided, by this run or before it: their answer does not tell */
  voided: number;
  refused: Refusal[];
}

interface LoadOptions {
  file: string;
  format: Format;
  batch: string;
  chunk_size: number;
  attempt: number;
}

export const loadCommand = command({
  name: 'load',
  summary:
    'Posts the transactions of an NDJSON or CSV file in bulk; again changes nothing, so it can be resumed',
  notes: [
    'NDJSON has an item of POST /v1/transactions/bulk on each line: a transaction, or what follows one up.',
    'CSV has a transaction of one debit and one credit in each row, and its columns in the first:',
    `  ${csv_columns.join(', ')}, metadata.NAME`,
    '  The first three are required, in minor units; a cell that is empty is absent.',
    'A line without an idempotency_key gets one of its batch and its content. So the same file again, from',
    'any directory, posts what is missing and nothing twice; equal lines of one file are several transactions,',
    'and equal lines of two files are too, as those are two batches. A file that was renamed since needs the',
    '--batch of the first time.',
  ],
  positionals: ['file'],
  input: z.object({
    file: z.string(),
    batch: z
      .string()
      .min(1)
      .optional()
      .describe("what the file's lines belong to; absent means its name, without the directory"),
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
    checkNamed(input.file);
    const api = openApi(input, config);
    const batch = input.batch ?? basename(input.file);
    const tally = await load(api, { ...input, format, batch }, output);
    report(tally, output);
    return tally.refused.length === 0 ? 0 : 1;
  },
});

async function load(api: Api, options: LoadOptions, output: Output): Promise<Tally> {
  const { batch } = options;
  const tally: Tally = { batch, lines: 0, posted: 0, unchanged: 0, voided: 0, refused: [] };
  const file = statSync(options.file);
  const began = performance.now();
  let chunk: Line[] = [];
  let chunk_bytes = 0;
  let newest_before: number | null = null;
  const flush = async () => {
    newest_before ??= await newestPosition(api);
    await postChunk(api, chunk, options.attempt, newest_before, tally);
    // Of a pipe nobody knows how much is still to come.
    const share = file.isFile() ? (chunk.at(-1)?.read_bytes ?? file.size) / file.size : null;
    output.progress(progressText(tally, share, performance.now() - began));
    chunk = [];
    chunk_bytes = 0;
  };
  try {
    for await (const line of readLines(options.file, options.format, batch)) {
      tally.lines += 1;
      if (line.refusal !== null) tally.refused.push({ line: line.number, ...line.refusal });
      if (line.item === null) continue;
      chunk.push(line);
      chunk_bytes += JSON.stringify(line.item).length;
      if (chunk.length >= options.chunk_size || chunk_bytes >= chunk_bytes_max) await flush();
    }
    if (chunk.length > 0) await flush();
  } catch (error) {
    const done = `${(tally.posted + tally.unchanged).toLocaleString('en')} transactions are posted`;
    if (error instanceof FileRefused) throw new Error(`${options.file}: ${error.message} (${done})`);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${reason} (${done}; the same command goes on from there)`);
  } finally {
    output.progress('');
  }
  return tally;
}

/** Posts with the keys of the first attempt; what was refused is then asked with those of the next, so no line is ever posted twice. */
async function postChunk(
  api: Api,
  lines: Line[],
  attempt: number,
  newest_before: number,
  tally: Tally,
): Promise<void> {
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
      const { problem, transaction } = results[index] ?? {};
      if (problem !== undefined) {
        const detail = detailOf(problem.detail, problem.errors);
        refused.push({ line, refusal: { line: line.number, code: problem.code, detail } });
      } else if (transaction === undefined) throw new Error(`the answer says nothing of line ${line.number}`);
      // A void answers its hold, whose position says nothing of the void.
      else if (line.item?.void_of !== undefined) tally.voided += 1;
      else if (transaction.position > newest_before) tally.posted += 1;
      else tally.unchanged += 1;
    }
    waiting = refused.map(({ line }) => line);
    if (number === attempt) tally.refused.push(...refused.map(({ refusal }) => refusal));
    if (waiting.length === 0) return;
  }
}

/** Whatever has a higher position was posted after this. A server that is not there is not waited for: nothing has begun. */
async function newestPosition(api: Api): Promise<number> {
  const { data } = await again(() => api.get('/v1/transactions?limit=1', NewestSchema), isRetryable);
  return data[0]?.position ?? 0;
}

/** The key of the request is made of its content, so it can be asked again when the answer was lost. */
async function postItems(api: Api, transactions: unknown[]): Promise<z.infer<typeof ResultsSchema>> {
  const body = { atomic: false, transactions };
  const key = `load:${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}`;
  return again(
    () => api.post('/v1/transactions/bulk', body, ResultsSchema, key),
    (error) => error instanceof NoAnswer || isRetryable(error),
  );
}

function isRetryable(error: unknown): boolean {
  return error instanceof Refused && error.retryable;
}

async function again<Answer>(
  ask: () => Promise<Answer>,
  isPassing: (error: unknown) => boolean,
): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask();
    } catch (error) {
      if (!isPassing(error) || attempt === attempts_max) throw error;
    }
    await delay(100 * 2 ** attempt);
  }
}

function progressText(tally: Tally, share: number | null, elapsed_ms: number): string {
  const rate = Math.round((tally.lines * 1_000) / Math.max(elapsed_ms, 1));
  const refused = tally.refused.length === 0 ? '' : `, ${tally.refused.length.toLocaleString('en')} refused`;
  const bar = share === null ? '' : barText(Math.min(share, 1));
  return `${bar}${tally.lines.toLocaleString('en')} lines, ${rate.toLocaleString('en')}/s${refused}`;
}

function barText(share: number): string {
  const width = 30;
  const filled = '='.repeat(Math.round(share * width));
  return `[${filled.padEnd(width)}] ${Math.round(share * 100)} %  `;
}

function report({ refused, ...tally }: Tally, output: Output): void {
  const sorted = refused.toSorted((a, b) => a.line - b.line);
  for (const { line, code, detail } of sorted.slice(0, refusals_shown)) {
    output.line(`line ${line}: ${code}: ${detail}`);
  }
  if (sorted.length > refusals_shown)
    output.line(`… and ${sorted.length - refusals_shown} more; --json lists them all`);
  const { batch, lines, posted, unchanged, voided } = tally;
  const counts = [
    `${posted.toLocaleString('en')} posted`,
    `${unchanged.toLocaleString('en')} were there already`,
    ...(voided === 0 ? [] : [`${voided.toLocaleString('en')} holds voided, now or before`]),
    `${refused.length.toLocaleString('en')} refused`,
  ];
  output.line(`${lines.toLocaleString('en')} lines of the batch ${batch}: ${counts.join(', ')}`);
  output.json({ ...tally, refused: sorted });
}
