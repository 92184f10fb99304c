// One call about one delivery: signed, made, and judged.

import { encodeId } from '../../id.ts';
import type { EventRow } from '../log/index.ts';
import type { Called, Caller } from './calls.ts';
import type { CalledEndpoint } from './endpoints.ts';
import type { Message } from './message.ts';
import type { Outcome } from './queue.ts';
import { retryAfterMs, retryInMs } from './schedule.ts';
import { type Signer, signedHeaders } from './signing.ts';

/** characters of an answer that are kept */
const kept_answer = 500;

export interface Assignment {
  tenant_id: string;
  id: string;
  attempts: number;
  endpoint: CalledEndpoint;
  signers: Signer[];
  event: EventRow;
  message: Message;
}

export interface Judged {
  outcome: Outcome;
  /** the endpoint is not called until then: it said so, or it is ordered and failed */
  resting_until: string | null;
  is_gone: boolean;
}

/** null when it was cut short because the process stops: then nobody has been called, as far as we say. */
export async function attempt(
  assignment: Assignment,
  caller: Caller,
  stopping: AbortSignal,
): Promise<Judged | null> {
  const { endpoint, event, message, signers } = assignment;
  const started_ms = Date.now();
  const id = encodeId('event', event.id);
  const called = await caller.call(
    {
      url: endpoint.url,
      headers: {
        'content-type': message.content_type,
        'user-agent': 'Lattice-Webhooks/1',
        ...signedHeaders({ id, sent_at_ms: started_ms, body: message.body }, signers),
      },
      body: message.body,
    },
    stopping,
  );
  if (called.kind === 'failed' && called.fault === 'stopped') return null;
  return judge(assignment, called, { started_ms, now_ms: Date.now(), random: Math.random() });
}

/** What a call's answer means for its delivery. */
export function judge(
  { id, attempts, endpoint }: Pick<Assignment, 'id' | 'attempts' | 'endpoint'>,
  called: Called,
  at: { started_ms: number; now_ms: number; random: number },
): Judged {
  const number = attempts + 1;
  const call = {
    id,
    endpoint_id: endpoint.id,
    number,
    started_at: new Date(at.started_ms).toISOString(),
    duration_ms: called.duration_ms,
    status_code: called.kind === 'answered' ? called.status_code : null,
    answer: called.kind === 'answered' ? keptText(called.answer) : null,
  };
  const fault = faultOf(called);
  if (fault === null) {
    const outcome = { ...call, status: 'succeeded' as const, due_at: null, fault: null, detail: null };
    return { outcome, resting_until: null, is_gone: false };
  }
  const is_gone = called.kind === 'answered' && called.status_code === 410;
  const detail = called.kind === 'failed' ? keptText(called.detail) : null;
  // What is gone is the endpoint, not what it was to be told: that waits until it is enabled, soon due and never for the last time.
  const scheduled_ms = retryInMs(is_gone ? 1 : number, at.random);
  if (scheduled_ms === null) {
    const outcome = { ...call, status: 'failed' as const, due_at: null, fault, detail };
    return { outcome, resting_until: null, is_gone: false };
  }
  const asked_ms = called.kind === 'answered' ? retryAfterMs(called.retry_after, at.now_ms) : null;
  const again_at = new Date(at.now_ms + Math.max(scheduled_ms, asked_ms ?? 0)).toISOString();
  const is_ordered = endpoint.ordering === 'ordered';
  return {
    outcome: { ...call, status: 'pending', due_at: is_ordered ? null : again_at, fault, detail },
    resting_until: is_ordered
      ? again_at
      : asked_ms === null
        ? null
        : new Date(at.now_ms + asked_ms).toISOString(),
    is_gone,
  };
}

function faultOf(called: Called): string | null {
  if (called.kind === 'failed') return called.fault;
  const { status_code } = called;
  if (status_code >= 200 && status_code < 300) return null;
  if (status_code === 410) return 'gone';
  return status_code >= 300 && status_code < 400 ? 'redirect_refused' : 'status_refused';
}

/** Postgres keeps no NUL in a text. */
function keptText(text: string): string {
  return text.slice(0, kept_answer).replaceAll('\u0000', '').toWellFormed();
}
