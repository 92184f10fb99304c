// The proof: everything recounted from entries. What must hold about money and does not stops the tenant's postings, until somebody has
// found out why and a recount holds again.
import { z } from 'zod';
import {
  type Actor,
  type Database,
  platform_tenant_id,
  queries,
  system_actor_id,
  type Tx,
} from '../../db.ts';
import { Problem } from '../../errors.ts';
import type { EventKind } from '../../event.ts';
import { encodeId, idSchema } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import type { Logger } from '../../log.ts';
import { appendEvent } from '../log/index.ts';
import { PositionSchema } from './balance_schema.ts';

const sql = queries(import.meta.url, 'proof_allow_time', 'proof_count', 'halt_find', 'halt_insert');

const CurrencySumsSchema = z
  .object({
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int(),
    debits: z.string().meta({ description: 'All posted debits, in minor units', example: '1250000' }),
    credits: z.string().meta({ example: '1250000' }),
    pending_debits: z.string().meta({ description: 'Held, whether or not expired', example: '0' }),
    pending_credits: z.string().meta({ example: '0' }),
  })
  .meta({ id: 'CurrencySums' });

const check_names = [
  'entries',
  'log',
  'balances_v',
  'balance_checkpoints_v',
  'expiring_holds_v',
  'open_holds_v',
  'dated_blocks_v',
  'dated_sums_v',
] as const;

export const DifferenceSchema = z
  .object({
    check: z.enum(check_names).meta({ description: '`entries`, `log`, or the table that differs' }),
    account_id: idSchema('account').nullable(),
    what: z.string().meta({ example: 'debits equal credits in EUR' }),
    expected: z.string().nullable().meta({ description: 'As recounted' }),
    found: z.string().nullable(),
  })
  .meta({ id: 'RecountDifference' });

export const RecountSchema = z
  .object({
    ok: z.boolean().meta({ description: 'Nothing differs' }),
    position: PositionSchema.meta({ description: 'Everything up to this position was recounted' }),
    balances_position: PositionSchema.meta({ description: 'How far the projection of balances had come' }),
    entry_count: z.int().meta({ description: 'Entries recounted' }),
    currencies: z.array(CurrencySumsSchema),
    difference_count: z.int(),
    differences: z.array(DifferenceSchema).meta({ description: 'The first 20 of each check' }),
    halted: z.boolean().meta({ description: 'Whether postings are halted until a recount holds' }),
    checked_at: InstantSchema,
  })
  .meta({ id: 'Recount' });
type Recount = z.infer<typeof RecountSchema>;

const jsonText = z.string().transform((text): unknown => JSON.parse(text));

const CountedSchema = z.object({
  position: z.number(),
  balances_position: z.number(),
  entry_count: z.number(),
  currencies: jsonText.pipe(z.array(CurrencySumsSchema)),
  difference_count: z.number(),
  differences: jsonText.pipe(z.array(DifferenceSchema.extend({ account_id: z.uuid().nullable() }))),
  checked_at: z.string(),
});

const HaltSchema = z.object({ halted: z.boolean(), reason: z.string(), recorded_at: z.string() });

/** Limits are decided by these; the other projections only answer questions about the past, and can be rebuilt meanwhile. */
const halting_checks: string[] = ['entries', 'log', 'balances_v', 'expiring_holds_v'];

async function recount(tx: Tx): Promise<Recount> {
  const { tenant_id } = tx.actor;
  await tx.run(sql.proof_allow_time, {});
  const counted = await tx.one(sql.proof_count, { tenant_id }, CountedSchema);
  const halt = await tx.maybe(sql.halt_find, { tenant_id }, HaltSchema);
  return {
    ok: counted.difference_count === 0,
    ...counted,
    differences: counted.differences.map((difference) => ({
      ...difference,
      account_id: difference.account_id === null ? null : encodeId('account', difference.account_id),
    })),
    halted: halt?.halted ?? false,
  };
}

/**
 * Recounts on one snapshot, about 1.5 µs an entry. If money does not add up, halts the tenant's postings and says so at error level,
 * which is what pages somebody.
 */
export async function prove(database: Database, logger: Logger, actor: Actor): Promise<Recount> {
  const proof = await database.readLong(actor, recount);
  if (proof.ok) return proof;
  const { tenant_id } = actor;
  logger.error({ tenant_id, differences: proof.differences }, 'the ledger fails its recount');
  const halting = proof.differences.find(({ check }) => halting_checks.includes(check));
  // The platform's own log has no postings.
  if (halting === undefined || proof.halted || tenant_id === platform_tenant_id) return proof;
  await database.transaction({ ...actor, actor_id: system_actor_id }, (tx) =>
    insertHalt(tx, true, `${halting.check}: ${halting.what}`),
  );
  logger.error({ tenant_id }, 'postings are halted');
  return { ...proof, halted: true };
}

/**
 * Lets halted postings go on, if a recount holds.
 * Errors: `ledger_not_halted`, `ledger_not_proved`.
 */
export async function resumePostings(tx: Tx): Promise<Recount> {
  const proof = await recount(tx);
  if (!proof.halted) throw new Problem('ledger_not_halted', 'Postings are not halted');
  const halting = proof.differences.find(({ check }) => halting_checks.includes(check));
  if (halting !== undefined) {
    throw new Problem('ledger_not_proved', `The recount differs: ${halting.check}: ${halting.what}`);
  }
  await insertHalt(tx, false, `the recount at position ${proof.position} holds`);
  return { ...proof, halted: false };
}

async function insertHalt(tx: Tx, halted: boolean, reason: string): Promise<void> {
  const { tenant_id } = tx.actor;
  const { position, recorded_at } = await appendEvent(tx, {
    type: halted ? 'ledger.postings_halted' : 'ledger.postings_resumed',
    subject_id: tenant_id,
    data: { reason },
  });
  await tx.run(sql.halt_insert, { tenant_id, position, halted, reason, recorded_at });
}

const HaltFactsSchema = z.object({ reason: z.string() }).meta({ id: 'HaltFacts' });

export const proof_events: EventKind[] = [
  {
    type: 'ledger.postings_halted',
    subject: 'tenant',
    description: 'A recount differed; nothing is posted until one holds',
    data: HaltFactsSchema,
  },
  {
    type: 'ledger.postings_resumed',
    subject: 'tenant',
    description: 'A recount holds; postings go on',
    data: HaltFactsSchema,
  },
];
