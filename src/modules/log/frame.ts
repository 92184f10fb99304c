// An event as it goes to streams: its bytes, made once for all who read it, and what filters ask of it.
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

export class Frame {
  readonly position: number;
  readonly type: string;
  /** uuid */
  readonly subject_id: string;
  readonly #subject_kind: IdKind | null;
  readonly recorded_at: string;
  /** the whole message */
  readonly bytes: Buffer;
  readonly #maker: FrameMaker;
  readonly #data: string;
  #touched: TouchedAccount[] | null = null;

  constructor(row: EventRow, maker: FrameMaker) {
    const subject = maker.subjectOf(row.type);
    this.#subject_kind = subject;
    this.position = row.position;
    this.type = row.type;
    this.subject_id = row.subject_id;
    this.recorded_at = row.recorded_at;
    this.bytes = Buffer.from(`id: ${row.position}\ndata: ${renderEvent(row, subject)}\n\n`);
    this.#maker = maker;
    this.#data = row.data;
  }

  /** Found out when a filter asks for the first time. Nobody can tell of an event of a type that this version does not know. */
  get touched(): TouchedAccount[] {
    if (this.#subject_kind === null) return [];
    this.#touched ??= this.#maker.touchedAccounts({
      type: this.type,
      subject: encodeId(this.#subject_kind, this.subject_id),
      data: JSON.parse(this.#data),
    });
    return this.#touched;
  }

  /** about what it takes in memory */
  get weight_bytes(): number {
    return 2 * this.bytes.length + 300;
  }
}
