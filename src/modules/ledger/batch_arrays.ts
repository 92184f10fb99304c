// A batch as arrays on their way to Postgres, as the text it parses fastest.
import { type Draft, metadataPairHash, referenceHash } from './draft.ts';
import { effectsOf, type WorstEffect } from './limited_balances.ts';

/** One command of a batch: a draft to be written, or only an answer to be stored under its key. */
export interface BatchCommand {
  key_hash: string;
  request_hash: string;
  actor_id: string;
  request_id: string;
  /** uuid of the event, if there is a draft to write */
  event_id: string;
  draft: Draft | null;
  /** stored as it is; with a draft, in place of the event's transaction */
  answer: { status: number; body: string } | null;
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

/** The first of some instants as Postgres writes them, all in UTC and with four digits of the year: their texts are in their order. */
class Earliest {
  readonly type = 'timestamptz';
  #earliest: string | null = null;

  add(instant: string | null): void {
    if (instant !== null && (this.#earliest === null || instant < this.#earliest)) this.#earliest = instant;
  }

  text(): string | null {
    return this.#earliest;
  }
}

type Parameter = ArrayLiteral | JoinedTexts | Earliest;

/** As parameters of a call. */
export function textsOf(parameters: Parameter[]): (string | null)[] {
  const texts: (string | null)[] = [];
  for (const parameter of parameters) texts.push(parameter.text());
  return texts;
}

/** The first arguments of ledger.post_batches, in its order. */
export class TenantArrays {
  readonly tenant_ids = new ArrayLiteral('uuid[]');
  readonly accounts_positions = new ArrayLiteral('bigint[]');
  readonly head_positions = new ArrayLiteral('bigint[]');
  readonly head_ids = new ArrayLiteral('uuid[]');
  readonly heads_since = new Earliest();
  readonly rely_on_balances = new ArrayLiteral('boolean[]');
  readonly commands_before = new ArrayLiteral('integer[]');
  readonly limited_before = new ArrayLiteral('integer[]');
  readonly command_tenants = new ArrayLiteral('integer[]');
  readonly entry_tenants = new ArrayLiteral('integer[]');

  /** in the order of declaration */
  all(): Parameter[] {
    return Object.values(this);
  }
}

/** The arguments of ledger.post_transactions after the first eight, in its order. */
export class BatchArrays {
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
  all(): Parameter[] {
    return Object.values(this);
  }
}

/** The instant by which the draft is recorded, or else prepared again: the end of the hold that it makes or follows up. */
function mustPrecede(draft: Draft): string | null {
  if (draft.target !== null) return draft.target.expires_at;
  return draft.event_type === 'ledger.transaction_held' ? draft.expires_at : null;
}

/** The arrays of the call. The optimistic path takes no effects, and only the limited accounts that are to be looked up. */
export function encodeBatch(
  commands: BatchCommand[],
  limited: WorstEffect[],
  with_effects: boolean,
): BatchArrays {
  const arrays = new BatchArrays();
  const numbers = new Map(limited.map((each, index) => [each.account.id, index + 1]));
  for (const [index, command] of commands.entries()) {
    const number = index + 1;
    const { draft } = command;
    addCommand(arrays, command);
    if (draft === null) continue;
    addEntries(arrays, number, draft);
    for (const [key, value] of Object.entries(draft.metadata)) {
      arrays.pair_commands.add(number);
      arrays.pair_hashes.add(metadataPairHash(key, value));
    }
    if (!with_effects) continue;
    for (const effect of effectsOf(draft)) {
      arrays.effect_commands.add(number);
      arrays.effect_limiteds.add(numbers.get(effect.account.id) ?? null);
      arrays.effect_availables.add(effect.available);
      arrays.effect_posteds.add(effect.posted);
      arrays.effect_checkeds.add(draft.limits_apply);
    }
  }
  for (const each of limited) {
    arrays.limited_ids.add(each.account.id);
    arrays.limited_debit_normals.add(each.account.debit_normal);
    arrays.limited_available_mins.add(each.account.available_min);
    arrays.limited_posted_maxs.add(each.account.posted_max);
    arrays.limited_worst_outs.add(each.out);
    arrays.limited_worst_ins.add(each.in);
  }
  return arrays;
}

function addCommand(arrays: BatchArrays, command: BatchCommand): void {
  const { draft } = command;
  arrays.key_hashes.add(command.key_hash);
  arrays.request_hashes.add(command.request_hash);
  arrays.answer_statuses.add(command.answer?.status ?? null);
  arrays.answers.add(command.answer?.body ?? null);
  arrays.event_ids.add(draft === null ? null : command.event_id);
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
}

function addEntries(arrays: BatchArrays, number: number, draft: Draft): void {
  for (const [index, entry] of draft.entries.entries()) {
    arrays.entry_commands.add(number);
    arrays.entry_ordinals.add(index + 1);
    arrays.entry_account_ids.add(entry.account.id);
    arrays.entry_layers.add(entry.layer);
    arrays.entry_directions.add(entry.direction);
    arrays.entry_amounts.add(entry.amount);
    arrays.entry_effective_ats.add(entry.effective_at ?? draft.effective_at);
    arrays.entry_expires_ats.add(entry.layer === 'pending' ? draft.expires_at : null);
  }
}
