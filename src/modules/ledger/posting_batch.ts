// A batch on its way to ledger.post_transactions: commands as arrays, one call, and what became of each command.
import { z } from 'zod';
import { type Database, type Query, violates } from '../../db.ts';
import { newUuid } from '../../id.ts';
import type { ResolvedAccount } from './account_cache.ts';
import { type Draft, metadataPairHash, referenceHash } from './draft.ts';

/** One command of a batch: a draft to be written, or only an answer to be stored under its key. */
export interface BatchCommand {
  key_hash: string;
  request_hash: string;
  actor_id: string;
  request_id: string;
  draft: Draft | null;
  /** stored as it is; with a draft, in place of the event's transaction */
  answer: { status: number; body: string } | null;
}

const BatchResultSchema = z.object({
  state: z.enum(['posted', 'mixed', 'refused', 'accounts_stale', 'halted']),
  first_position: z.number().nullable(),
  recorded_at: z.string().nullable(),
  positions: z.array(z.number().nullable()).nullable(),
  outcomes: z.array(z.string()).nullable(),
  outcome_account_ids: z.array(z.string().nullable()).nullable(),
  outcome_balances: z.array(z.string().nullable()).nullable(),
  outcome_transaction_ids: z.array(z.string().nullable()).nullable(),
});
export type BatchResult = z.infer<typeof BatchResultSchema>;

/** What a draft does to one limited account, in the account's normal direction. */
interface Effect {
  account: ResolvedAccount;
  available: bigint;
  posted: bigint;
}

/** Net effects on the limited accounts of a draft, in entry order. */
export function effectsOf(draft: Draft): Effect[] {
  const effects: Effect[] = [];
  for (const { account, layer, direction, amount } of draft.entries) {
    if (account.available_min === null && account.posted_max === null) continue;
    let effect = effects.find((each) => each.account === account);
    if (effect === undefined) {
      effect = { account, available: 0n, posted: 0n };
      effects.push(effect);
    }
    const increases = (direction === 'debit') === account.debit_normal;
    if (layer === 'posted') {
      const signed = increases ? amount : -amount;
      effect.posted += signed;
      effect.available += signed;
    } else if (!increases) {
      // Money held for an account is not spendable, so only the decreasing side counts.
      effect.available -= amount;
    }
  }
  return effects;
}

/** An array literal under construction; null when all its items are, so that it costs nothing. */
class ArrayLiteral {
  readonly type: string;
  #items: string[] = [];
  #some = false;

  constructor(type: string) {
    this.type = type;
  }

  add(item: string | number | bigint | boolean | null): void {
    if (item !== null) this.#some = true;
    this.#items.push(item === null ? 'NULL' : String(item));
  }

  addText(item: string | null): void {
    if (item !== null) this.#some = true;
    this.#items.push(item === null ? 'NULL' : `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`);
  }

  text(): string | null {
    return this.#some ? `{${this.#items.join(',')}}` : null;
  }
}

/** JSON texts under construction, as one text: nothing in JSON needs escaping here, as it has no control characters. */
class JoinedTexts {
  readonly type = 'text';
  #items: string[] = [];
  #some = false;

  add(json: string | null): void {
    if (json !== null) this.#some = true;
    this.#items.push(json ?? '');
  }

  text(): string | null {
    return this.#some ? this.#items.join('\u001e') : null;
  }
}

/** The arguments of ledger.post_transactions after the first five, in its order. */
class BatchArrays {
  readonly key_hashes = new ArrayLiteral('uuid[]');
  readonly request_hashes = new ArrayLiteral('uuid[]');
  readonly answer_statuses = new ArrayLiteral('smallint[]');
  readonly answers = new JoinedTexts();
  readonly event_ids = new ArrayLiteral('uuid[]');
  readonly types = new ArrayLiteral('text[]');
  readonly subject_ids = new ArrayLiteral('uuid[]');
  readonly data = new JoinedTexts();
  readonly actor_ids = new ArrayLiteral('uuid[]');
  readonly request_ids = new ArrayLiteral('text[]');
  readonly effective_ats = new ArrayLiteral('timestamptz[]');
  readonly reference_hashes = new ArrayLiteral('uuid[]');
  readonly target_ids = new ArrayLiteral('uuid[]');
  readonly target_numbers = new ArrayLiteral('integer[]');
  readonly target_kinds = new ArrayLiteral('text[]');
  readonly target_finals = new ArrayLiteral('boolean[]');
  readonly target_expires_ats = new ArrayLiteral('timestamptz[]');
  readonly entry_commands = new ArrayLiteral('integer[]');
  readonly entry_ordinals = new ArrayLiteral('integer[]');
  readonly entry_account_ids = new ArrayLiteral('uuid[]');
  readonly entry_layers = new ArrayLiteral('ledger.layer[]');
  readonly entry_directions = new ArrayLiteral('ledger.direction[]');
  readonly entry_amounts = new ArrayLiteral('numeric[]');
  readonly entry_effective_ats = new ArrayLiteral('timestamptz[]');
  readonly entry_expires_ats = new ArrayLiteral('timestamptz[]');
  readonly pair_commands = new ArrayLiteral('integer[]');
  readonly pair_hashes = new ArrayLiteral('uuid[]');
  readonly limited_ids = new ArrayLiteral('uuid[]');
  readonly limited_debit_normals = new ArrayLiteral('boolean[]');
  readonly limited_available_mins = new ArrayLiteral('numeric[]');
  readonly limited_posted_maxs = new ArrayLiteral('numeric[]');
  readonly limited_worst_outs = new ArrayLiteral('numeric[]');
  readonly limited_worst_ins = new ArrayLiteral('numeric[]');
  readonly effect_commands = new ArrayLiteral('integer[]');
  readonly effect_limiteds = new ArrayLiteral('integer[]');
  readonly effect_availables = new ArrayLiteral('numeric[]');
  readonly effect_posteds = new ArrayLiteral('numeric[]');
  readonly effect_checkeds = new ArrayLiteral('boolean[]');

  /** in the order of declaration */
  all(): (ArrayLiteral | JoinedTexts)[] {
    return Object.values(this);
  }
}

const post_transactions: Query = {
  name: 'transactions_post',
  text: `select * from ledger.post_transactions($1::uuid, $2::bigint, $3::boolean, $4::boolean, $5::boolean, ${new BatchArrays()
    .all()
    .map(({ type }, index) => `$${index + 6}::${type}`)
    .join(', ')})`,
  parameters: [],
};

/** The instant by which the draft is recorded, or else prepared again: the end of the hold that it makes or follows up. */
function mustPrecede(draft: Draft): string | null {
  if (draft.target !== null) return draft.target.expires_at;
  return draft.event_type === 'ledger.transaction_held' ? draft.expires_at : null;
}

/** The arguments of the call, as the text Postgres parses fastest. */
function encodeBatch(commands: BatchCommand[]): (string | null)[] {
  const arrays = new BatchArrays();
  const limited = new Map<string, { number: number; account: ResolvedAccount; out: bigint; in: bigint }>();

  commands.forEach((command, index) => {
    const { draft } = command;
    const number = index + 1;
    arrays.key_hashes.add(command.key_hash);
    arrays.request_hashes.add(command.request_hash);
    arrays.answer_statuses.add(command.answer?.status ?? null);
    arrays.answers.add(command.answer?.body ?? null);
    arrays.event_ids.add(draft === null ? null : newUuid());
    arrays.types.add(draft === null ? null : draft.event_type);
    arrays.subject_ids.add(draft === null ? null : draft.subject_id);
    arrays.data.add(draft === null ? null : draft.data);
    arrays.actor_ids.add(command.actor_id);
    arrays.request_ids.addText(command.request_id);
    arrays.effective_ats.add(draft === null ? null : draft.effective_at);
    arrays.reference_hashes.add(
      draft === null || draft.reference === null ? null : referenceHash(draft.reference),
    );
    arrays.target_ids.add(draft?.target?.id ?? null);
    arrays.target_numbers.add(draft?.target?.number ?? null);
    arrays.target_kinds.add(draft?.target?.kind ?? null);
    arrays.target_finals.add(draft?.target?.final ?? null);
    arrays.target_expires_ats.add(draft === null ? null : mustPrecede(draft));
    if (draft === null) return;

    draft.entries.forEach((entry, ordinal) => {
      arrays.entry_commands.add(number);
      arrays.entry_ordinals.add(ordinal + 1);
      arrays.entry_account_ids.add(entry.account.id);
      arrays.entry_layers.add(entry.layer);
      arrays.entry_directions.add(entry.direction);
      arrays.entry_amounts.add(entry.amount);
      arrays.entry_effective_ats.add(entry.effective_at ?? draft.effective_at);
      arrays.entry_expires_ats.add(entry.layer === 'pending' ? draft.expires_at : null);
    });
    for (const [key, value] of Object.entries(draft.metadata)) {
      arrays.pair_commands.add(number);
      arrays.pair_hashes.add(metadataPairHash(key, value));
    }
    for (const effect of effectsOf(draft)) {
      let each = limited.get(effect.account.id);
      if (each === undefined) {
        each = { number: limited.size + 1, account: effect.account, out: 0n, in: 0n };
        limited.set(effect.account.id, each);
      }
      if (effect.available < 0n) each.out -= effect.available;
      if (effect.posted > 0n) each.in += effect.posted;
      arrays.effect_commands.add(number);
      arrays.effect_limiteds.add(each.number);
      arrays.effect_availables.add(effect.available);
      arrays.effect_posteds.add(effect.posted);
      arrays.effect_checkeds.add(draft.limits_apply);
    }
  });
  for (const each of limited.values()) {
    arrays.limited_ids.add(each.account.id);
    arrays.limited_debit_normals.add(each.account.debit_normal);
    arrays.limited_available_mins.add(each.account.available_min);
    arrays.limited_posted_maxs.add(each.account.posted_max);
    arrays.limited_worst_outs.add(each.out);
    arrays.limited_worst_ins.add(each.in);
  }
  return arrays.all().map((array) => array.text());
}

/** What a wrong guess of the optimistic path violates; the exact path then says which command it was. */
const optimistic_constraints = ['idempotency_key_pkey', 'reference_taken', 'transaction_link_pkey'];

/** One call for the whole batch; twice when the optimistic path had guessed wrong. */
export async function postBatch(
  database: Database,
  batch: {
    tenant_id: string;
    accounts_position: number;
    commands: BatchCommand[];
    atomic: boolean;
    dry_run: boolean;
  },
): Promise<BatchResult> {
  const arrays = encodeBatch(batch.commands);
  const call = async (exact: boolean) => {
    const head = [batch.tenant_id, batch.accounts_position, exact, batch.atomic, batch.dry_run];
    const [row] = await database.callWith(post_transactions, [...head, ...arrays]);
    return BatchResultSchema.parse(row);
  };
  if (batch.dry_run) return call(true);
  return call(false).catch((error: unknown) => {
    if (violates(error, optimistic_constraints)) return call(true);
    throw error;
  });
}
