// An event as it goes to streams: its bytes, made once for all who read it when the first of them does, and what filters ask of it.
import { encodeId, type IdKind } from '../../id.ts';
import { type EventRow, renderEvent, type SubjectKinds } from './events.ts';

/** An account that an event touches. */
export interface TouchedAccount {
  /** TypeID */
  account_id: string;
  account_code: string;
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
  readonly type: string;
  /** uuid */
  readonly subject_id: string;
  readonly recorded_at: string;
  readonly #subject_kind: IdKind | null;
  readonly #maker: FrameMaker;
  readonly #row: EventRow;
  #bytes: Buffer | null = null;
  #touched: TouchedAccount[] | null;

  /** `touched` is given by who knows it already. */
  constructor(row: EventRow, maker: FrameMaker, touched: TouchedAccount[] | null = null) {
    this.position = row.position;
    this.type = row.type;
    this.subject_id = row.subject_id;
    this.recorded_at = row.recorded_at;
    this.#subject_kind = maker.subjectOf(row.type);
    this.#maker = maker;
    this.#row = row;
    this.#touched = touched;
  }

  /** The whole message. */
  get bytes(): Buffer {
    const row = this.#row;
    this.#bytes ??= Buffer.from(`id: ${row.position}\ndata: ${renderEvent(row, this.#subject_kind)}\n\n`);
    return this.#bytes;
  }

  /** Found out when a filter asks for the first time. Nobody can tell of an event of a type that this version does not know. */
  get touched(): TouchedAccount[] {
    if (this.#subject_kind === null) return [];
    this.#touched ??= this.#maker.touchedAccounts({
      type: this.type,
      subject: encodeId(this.#subject_kind, this.subject_id),
      data: JSON.parse(this.#row.data),
    });
    return this.#touched;
  }

  /** about what it takes in memory, once it has been made into bytes */
  get weight_bytes(): number {
    return 2 * (this.#row.data.length + columns_bytes) + 300;
  }
}
