// Arrays on their way to Postgres, as the text it parses fastest.

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

/** The arguments of ledger.post_transactions after the first seven, in its order. */
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
  all(): (ArrayLiteral | JoinedTexts)[] {
    return Object.values(this);
  }
}
