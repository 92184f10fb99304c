// The events of a batch as the log has them, once it is posted as it is: streams of this process need not read them.
import type { OwnEvent } from '../log/index.ts';
import type { Draft } from './draft.ts';
import type { Batch } from './posting_attempt.ts';

/** Is told what was posted and committed; asks for the events if somebody follows the tenant's log. */
export type OfferEvents = (tenant_id: string, events: () => OwnEvent[]) => void;

/** Of a batch that is posted as it is, from `first_position` on; `recorded_at` as Postgres answers it. */
export function ownEvents(batch: Batch, first_position: number, recorded_at: string): OwnEvent[] {
  const events: OwnEvent[] = [];
  for (const { event_id, actor_id, request_id, draft } of batch.commands) {
    // The answer to a key is no event.
    if (draft === null) continue;
    events.push({
      row: {
        position: first_position + events.length,
        id: event_id,
        type: draft.event_type,
        subject_id: draft.subject_id,
        data: draft.data,
        actor_id,
        request_id,
        occurred_at: draft.effective_at ?? recorded_at,
        recorded_at,
      },
      // What touchedAccounts would find in the data of a posting or a hold.
      touched: draft.entries.map(accountOf),
    });
  }
  return events;
}

function accountOf({ account }: Draft['entries'][number]): OwnEvent['touched'][number] {
  return account;
}
