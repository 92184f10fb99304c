// A crowd: many clients that command one ledger at once, over few accounts and each other's holds. Every command and its answer is kept.
import fc from 'fast-check';
import { z } from 'zod';
import type { Command } from './api.ts';
import type { Attempt } from './history.ts';
import { clockNow } from './instant.ts';
import { requestOf } from './requests.ts';
import type { Wire } from './wire.ts';

/** All in one currency, with limits that a crowd breaks all the time. */
export const crowd_accounts = [
  { code: 'world', type: 'asset', currency: 'EUR' },
  { code: 'hot', type: 'liability', currency: 'EUR', limits: { available_min: '0' } },
  { code: 'cold', type: 'liability', currency: 'EUR', limits: { available_min: '-50', posted_max: '2000' } },
  { code: 'cash', type: 'asset', currency: 'EUR', limits: { posted_max: '1500' } },
  { code: 'fees', type: 'revenue', currency: 'EUR' },
];

/** How many commands share a reference, on average: as many are refused for it in a long run as in a short one. */
const commands_per_reference = 3;

const moves = (commands: number) =>
  fc.record({
    kind: fc.constantFrom(
      'post',
      'post',
      'post',
      'hold',
      'hold',
      'capture',
      'capture',
      'void',
      'reverse',
      'bulk',
      'close',
      'reopen',
    ),
    from: fc.nat(crowd_accounts.length - 1),
    hop: fc.integer({ min: 1, max: crowd_accounts.length - 1 }),
    amount: fc.integer({ min: 1, max: 60 }).map(String),
    of: fc.nat(5),
    whole: fc.boolean(),
    expires: fc.boolean(),
    reference: fc.option(fc.nat(Math.floor(commands / commands_per_reference)), { freq: 8 }),
  });
type Move = ReturnType<typeof moves> extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/** What the clients know of one another's doings, by the answers so far. */
interface Known {
  holds: string[];
  posted: string[];
  position: number;
}

const Written = z.looseObject({ id: z.string(), position: z.number(), status: z.string() });

export async function runCrowd(
  wire: Wire,
  options: { clients: number; commands_each: number; seed: number; name: string },
): Promise<Attempt[]> {
  const { clients, commands_each, seed, name } = options;
  const known: Known = { holds: [], posted: [], position: 0 };
  const attempts: Attempt[] = [];
  const move = moves(clients * commands_each);
  const client = async (n: number) => {
    for (const [i, drawn] of fc.sample(move, { numRuns: commands_each, seed: seed + n }).entries()) {
      attempts.push(await attempt(wire, commandOf(drawn, known), `${name}-${n}-${i}`, known));
    }
  };
  await Promise.all(Array.from({ length: clients }, (_, n) => client(n)));
  return attempts;
}

async function attempt(wire: Wire, command: Command, key: string, known: Known): Promise<Attempt> {
  const { method, path, body } = requestOf(command, false);
  const known_position = known.position;
  const answer = await wire.send(method, path, body, key);
  const answered_at = clockNow() + 1_000n;
  const parsed: unknown = JSON.parse(answer.text);
  learn(known, parsed);
  return { command, key, known_position, answered_at, status: answer.status, body: parsed };
}

function learn(known: Known, body: unknown): void {
  const written = Written.safeParse(body);
  if (!written.success) return;
  const { id, position, status } = written.data;
  known.position = Math.max(known.position, position);
  if (status === 'pending') known.holds.push(id);
  if (status === 'posted') known.posted.push(id);
}

function commandOf(drawn: Move, known: Known): Command {
  const body = postBody(drawn);
  const hold = known.holds.at(-1 - drawn.of);
  const posted = known.posted.at(-1 - drawn.of);
  const part = drawn.whole ? {} : { amount: drawn.amount };
  if (drawn.kind === 'hold') {
    const expiry = drawn.expires ? { expires_in_seconds: 1 } : {};
    return { verb: 'post', body: { ...body, status: 'pending', ...expiry } };
  }
  if (drawn.kind === 'capture' && hold !== undefined)
    return { verb: 'capture', transaction: hold, body: part };
  if (drawn.kind === 'void' && hold !== undefined) return { verb: 'void', transaction: hold, body: {} };
  if (drawn.kind === 'reverse' && posted !== undefined)
    return { verb: 'reverse', transaction: posted, body: part };
  if (drawn.kind === 'bulk') {
    const back = postBody({ ...drawn, from: drawn.from + drawn.hop, hop: crowd_accounts.length - drawn.hop });
    return { verb: 'bulk', body: { atomic: drawn.whole, transactions: [body, back, body] } };
  }
  // One account that nobody's capture or reversal depends on much opens and closes all the time
  if (drawn.kind === 'close') return { verb: 'close_account', account: 'fees' };
  if (drawn.kind === 'reopen') return { verb: 'reopen_account', account: 'fees' };
  return { verb: 'post', body };
}

function postBody({ from, hop, amount, reference }: Move) {
  const code = (n: number) => crowd_accounts[n % crowd_accounts.length]?.code;
  return {
    entries: [
      { account: code(from), direction: 'debit', amount },
      { account: code(from + hop), direction: 'credit', amount },
    ],
    ...(reference === null ? {} : { reference: `r${reference}` }),
  };
}
