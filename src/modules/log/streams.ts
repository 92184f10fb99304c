// The live side of the log: what wakes whom, the tails that streams hear from, and the pages for those that are behind.
import type { Consumer } from '../../consumer.ts';
import type { EventKind } from '../../event.ts';
import type { Context } from '../../module.ts';
import { EventPages } from './event_pages.ts';
import { subjectKinds } from './events.ts';
import type { FrameMaker, TouchedAccounts } from './frame.ts';
import type { ListTenants } from './known_tenants.ts';
import type { AccountPositions } from './routes.ts';
import { Tails } from './tails.ts';
import { Topics } from './topics.ts';
import { Wakes } from './wakes.ts';

/** What the log cannot know by itself; the other modules supply it. */
export interface LogOptions {
  /** what all modules say, once they are all there */
  kinds: () => EventKind[];
  /** what follows the log, once it is all there */
  consumers: () => Consumer[];
  accountPositions: AccountPositions;
  touchedAccounts: TouchedAccounts;
  /** whether events of a type can touch an account at all */
  touchesAccounts: (type: string) => boolean;
  listTenants: ListTenants;
}

export class Streams {
  readonly wakes: Wakes;
  readonly tails: Tails;
  readonly pages: EventPages;
  readonly topics: Topics;

  constructor({ config, database, logger, metrics }: Context, options: LogOptions) {
    const connection_string = config.DATABASE_DIRECT_URL ?? database.connection_string;
    this.wakes = new Wakes({ database, connection_string, logger, metrics });
    const maker: FrameMaker = {
      subjectOf: subjectKinds(options.kinds),
      touchedAccounts: options.touchedAccounts,
    };
    this.tails = new Tails({ database, logger, metrics, wakes: this.wakes, maker });
    this.pages = new EventPages({ database, logger, maker, accountPositions: options.accountPositions });
    this.topics = new Topics(this.tails, logger);
  }

  start(): void {
    this.wakes.start();
    this.tails.start();
  }

  async stop(): Promise<void> {
    this.tails.stop();
    await this.wakes.stop();
  }
}
