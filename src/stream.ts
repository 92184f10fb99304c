// A stream of server-sent events: what feeds it, and where that writes. http/stream.ts knows sockets and nothing of events;
// a feed knows events and nothing of sockets.
import { z } from 'zod';

/** The query parameters of every stream, to be extended by its filters. */
export const StreamQuerySchema = z.strictObject({
  ticket: z.string().optional().meta({
    description: 'From `POST /v1/stream_tickets`, in place of an API key',
  }),
});

/** The client's side. */
export interface Sink {
  /** Sends whole messages. False: the client takes no more for now; `Feed.resume` is called when it does. */
  write: (messages: Buffer) => boolean;
  /** Nothing more will come; the client comes back after a while and resumes. */
  end: () => void;
}

/** The server's side, from its beginning until `close`. */
export interface Feed {
  /** Everything up to here has been sent or does not concern the client, which is told now and then; null: there is nothing to tell. */
  readonly position: number | null;
  /** The client takes more again. */
  resume: () => void;
  close: () => void;
}

/** Begins to write, at once or later. */
export type BeginFeed = (sink: Sink) => Feed;

/** `id` is what the client sends as `Last-Event-ID` when it comes back. `data` is one line. */
export function message(id: number, data: string, event?: string): Buffer {
  return Buffer.from(`id: ${id}\n${event === undefined ? '' : `event: ${event}\n`}data: ${data}\n\n`);
}

/** Moves the client's `Last-Event-ID` without telling it anything: no data, no event (HTML, 9.2.6). */
export function idMessage(id: number): Buffer {
  return Buffer.from(`id: ${id}\n\n`);
}
