// An event as it goes to streams: its bytes, made once for all who read it when the first of them does, and what filters ask of it.
import { encodeId, type IdKind } from '../../id.ts';
import { type EventRow, renderEvent, type SubjectKinds } from './events.ts';

/** An account that an event touches. */
export interface TouchedAccount {
  /** TypeID */
  account_id: string;
  code: string;
}

/** Which accounts an event touches. The log does not know accounts: whoever does supplies this. `data` is that of the event's type. */
export type TouchedAccounts = (event: { type: string; subject: string; data: unknown }) => TouchedAccount[];

export interface FrameMaker {
  subjectOf: SubjectKinds;
  touchedAccounts: TouchedAccounts;
}

/** An event as whoever has appended it knows it, to the letter as the log answers it. */
export interface OwnEvent {
  row: EventRow;
  touched: TouchedAccount[];
}

/** what an event weighs besides its data, about: its other columns, in the row and in the message */
const columns_bytes = 400;

export class Frame {
  readonly position: number;
  /** about what it takes in memory, once it has been made into bytes */
  readonly weight_bytes: number;
  readonly #maker: FrameMaker;
  readonly #row: EventRow;
  #bytes: Buffer | null = null;
  #touched: TouchedAccount[] | null;

  /** `touched` is given by who knows it already. */
  constructor(row: EventRow, maker: FrameMaker, touched: TouchedAccount[] | null = null) {
    // Asked of every event: its row and data would have to be fetched from memory for them.
    this.position = row.position;
    this.weight_bytes = 2 * (row.data.length + columns_bytes) + 300;
    this.#maker = maker;
    this.#row = row;
    this.#touched = touched;
  }

  get type(): string {
    return this.#row.type;
  }

  /** uuid */
  get subject_id(): string {
    return this.#row.subject_id;
  }

  get recorded_at(): string {
    return this.#row.recorded_at;
  }

  get #subject_kind(): IdKind | null {
    return this.#maker.subjectOf(this.#row.type);
  }

  /** The whole message. */
  get bytes(): Buffer {
    const row = this.#row;
    this.#bytes ??= Buffer.from(`id: ${row.position}\ndata: ${renderEvent(row, this.#subject_kind)}\n\n`);
    return this.#bytes;
  }

  /** Found out when a filter asks for the first time. Nobody can tell of an event of a type that this version does not know. */
  get touched(): TouchedAccount[] {
    this.#touched ??= this.#findTouched();
    return this.#touched;
  }

  #findTouched(): TouchedAccount[] {
    const kind = this.#subject_kind;
    if (kind === null) return [];
    const subject = encodeId(kind, this.subject_id);
    return this.#maker.touchedAccounts({ type: this.type, subject, data: JSON.parse(this.#row.data) });
  }
}
