// What is sent: an event in the form that its endpoint asks for. The same bytes at each attempt.
import { encodeId, type IdKind } from '../../id.ts';
import { type EventRow, renderEvent, renderSubject } from '../log/index.ts';

export type Format = 'event' | 'cloudevents';

export interface Message {
  content_type: string;
  body: string;
}

/** `subject` is the kind of thing that the event's type speaks of. */
export function renderMessage(
  event: EventRow,
  subject: IdKind | null,
  tenant_id: string,
  format: Format,
): Message {
  if (format === 'cloudevents') return cloudEvent(event, subject, tenant_id);
  const timestamp = JSON.stringify(event.occurred_at);
  return {
    content_type: 'application/json',
    body: `{"timestamp":${timestamp},${renderEvent(event, subject).slice(1)}`,
  };
}

/** CloudEvents 1.0, structured mode. `sequence` is the extension of that name: the position, so written that texts sort like numbers. */
function cloudEvent(event: EventRow, subject: IdKind | null, tenant_id: string): Message {
  const head = JSON.stringify({
    specversion: '1.0',
    id: encodeId('event', event.id),
    source: `/tenants/${encodeId('tenant', tenant_id)}`,
    type: event.type,
    subject: renderSubject(subject, event.subject_id),
    time: event.occurred_at,
    sequence: String(event.position).padStart(16, '0'),
    datacontenttype: 'application/json',
  });
  return {
    content_type: 'application/cloudevents+json; charset=utf-8',
    body: `${head.slice(0, -1)},"data":${event.data}}`,
  };
}
