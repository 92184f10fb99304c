// Pages of the log for clients that are behind. Only so many clients read at once, and each holds two pages at most, so what waits in
// memory does not grow with the number of clients; the others take turns.
import { type Database, queries, system_actor_id, type Tx } from '../../db.ts';
import type { Logger } from '../../log.ts';
import { type EventRow, EventRowSchema, listEventsAt, listSubjectPositions } from './events.ts';
import { type Filter, matches } from './filter.ts';
import { Frame, type FrameMaker } from './frame.ts';
import { mayBeCut, PageSize, page_bytes } from './page_size.ts';
import type { AccountPositions } from './routes.ts';

const sql = queries(import.meta.url, 'event_page_list');

/** clients that read at once */
const max_leases = 8;
/** positions that one page looks at when few of them match */
const scanned_positions = 20_000;

export interface EventPagesOptions {
  database: Database;
  logger: Logger;
  maker: FrameMaker;
  accountPositions: AccountPositions;
}

interface Range {
  tenant_id: string;
  filter: Filter;
  after: number;
  up_to: number;
}

interface Page {
  frames: Frame[];
  /** everything up to here has been looked at */
  position: number;
}

export class EventPages {
  readonly #options: EventPagesOptions;
  readonly #waiting: ((lease: Lease) => void)[] = [];
  #leases = 0;

  constructor(options: EventPagesOptions) {
    this.#options = options;
  }

  get others_wait(): boolean {
    return this.#waiting.length > 0;
  }

  /** The right to read, when it is one's turn. */
  async lease(): Promise<Lease> {
    if (this.#leases < max_leases) {
      this.#leases += 1;
      return new Lease(this);
    }
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#leases -= 1;
    else next(new Lease(this));
  }

  onTrouble(tenant_id: string, error: unknown): void {
    const message = error instanceof Error ? error.message : String(error);
    this.#options.logger.warn({ tenant_id, error: { message } }, 'a stream could not read the log');
  }

  async read(range: Range, size: PageSize): Promise<Page> {
    const [account] = range.filter.accounts ?? [];
    return account === undefined ? this.#readLog(range, size) : this.#readAccount(range, account, size);
  }

  async #readLog({ tenant_id, filter, after, up_to }: Range, size: PageSize): Promise<Page> {
    const row_limit = size.rows;
    const { types, subject_id } = filter;
    const is_narrow = types !== null || subject_id !== null;
    const end = is_narrow ? Math.min(up_to, after + scanned_positions) : up_to;
    const rows = await this.#options.database.call(
      sql.event_page_list,
      {
        tenant_id,
        after,
        up_to: end,
        since: null,
        row_limit,
        types: types === null ? null : [...types],
        subject_id,
        max_bytes: page_bytes,
      },
      EventRowSchema,
    );
    const position = mayBeCut(rows, row_limit) ? (rows.at(-1)?.position ?? end) : end;
    return { frames: this.#frames(rows, filter, size), position };
  }

  /** By the places of the account's entries, so that a quiet account in a long log is found at once. */
  async #readAccount(
    { tenant_id, filter, after, up_to }: Range,
    account: string,
    size: PageSize,
  ): Promise<Page> {
    const row_limit = size.rows;
    const actor = { tenant_id, actor_id: system_actor_id, request_id: 'stream' };
    return this.#options.database.read(actor, async (tx) => {
      const positions = await this.#accountPositions(tx, account, { after, row_limit });
      const looked_at = positions.filter((position) => position <= up_to).slice(0, row_limit);
      const types = filter.types === null ? null : [...filter.types];
      const { rows, position } = await listEventsAt(tx, looked_at, { types, max_bytes: page_bytes });
      const end = looked_at.length < row_limit ? up_to : (looked_at.at(-1) ?? up_to);
      return { frames: this.#frames(rows, filter, size), position: position ?? end };
    });
  }

  async #accountPositions(
    tx: Tx,
    account: string,
    range: { after: number; row_limit: number },
  ): Promise<number[]> {
    const { account_id, positions } = await this.#options.accountPositions(tx, account, range);
    const changes = await listSubjectPositions(tx, account_id, range);
    return [...new Set([...positions, ...changes])].sort((a, b) => a - b);
  }

  #frames(rows: EventRow[], filter: Filter, size: PageSize): Frame[] {
    size.learn(rows);
    return rows.map((row) => new Frame(row, this.#options.maker)).filter((frame) => matches(filter, frame));
  }
}

/** The right of one client to read; the next page is under way while this one is sent. */
export class Lease {
  readonly #pages: EventPages;
  readonly #size = new PageSize();
  #next: { after: number; page: Promise<Page> } | null = null;

  constructor(pages: EventPages) {
    this.#pages = pages;
  }

  get others_wait(): boolean {
    return this.#pages.others_wait;
  }

  async read(range: Range): Promise<Page> {
    const page = await (this.#next?.after === range.after
      ? this.#next.page
      : this.#pages.read(range, this.#size));
    this.#next = null;
    if (page.position < range.up_to && !this.others_wait) {
      const next = this.#pages.read({ ...range, after: page.position }, this.#size);
      // Whoever reads it hears of its failure; it may also be that nobody does.
      next.catch(() => undefined);
      this.#next = { after: page.position, page: next };
    }
    return page;
  }

  release(): void {
    this.#next = null;
    this.#pages.release();
  }
}
