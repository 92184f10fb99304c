// Snapshot, then follow: reads a state with the position that it stands at, then hears of each later event once, in order. It runs in a
// browser as it is; `serve.ts` takes the types off.
//
// EventSource comes back by itself, with the same URL. A ticket opens one stream, once, so that attempt is refused, the EventSource is
// closed for good, and a new one is opened here, with a new ticket, after the last position that was seen.

export interface LogEvent {
  position: number;
  type: string;
  data: unknown;
}

export interface FollowOptions<State> {
  /** Reads the state, and the position of the log that it stands at. */
  read: () => Promise<{ state: State; position: number }>;
  /** The URL of a stream of events, its ticket included. Fails with `NotAllowed` when there is no right to one any more. */
  ticket: () => Promise<string>;
  /** Called with the state first, and again when the log can no longer be followed from where it stood. */
  onState: (state: State) => void;
  /** Called with each event after the state, once and in order. */
  onEvent: (event: LogEvent) => void;
  /** `live`, `waiting` until it is live again, or `ended`: nothing more will come. */
  onConnection?: (connection: 'live' | 'waiting' | 'ended') => void;
}

/** There is no right to the stream, and there will not be one. */
export class NotAllowed extends Error {}

/** between attempts; spread, so that not all who were cut off come at once */
const retry_ms = { least: 500, spread: 1_000 };

/** Follows until the function that it answers is called. */
export function follow<State>(options: FollowOptions<State>): () => void {
  const { read, ticket, onState, onEvent, onConnection = () => undefined } = options;
  /** everything up to here is in the state or was told; null: the state is to be read */
  let position: number | null = null;
  let source: EventSource | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let is_over = false;

  const begin = async () => {
    try {
      if (position === null) {
        const snapshot = await read();
        if (is_over) return;
        position = snapshot.position;
        onState(snapshot.state);
      }
      const url = await ticket();
      if (!is_over) open(`${url}${url.includes('?') ? '&' : '?'}after=${position}`);
    } catch (error) {
      if (error instanceof NotAllowed) end();
      else later();
    }
  };

  const open = (url: string) => {
    const opened = new EventSource(url);
    source = opened;
    opened.onopen = () => onConnection('live');
    opened.onmessage = ({ data }) => {
      const event: LogEvent = JSON.parse(data);
      position = event.position;
      onEvent(event);
    };
    // The log is not what it was (restored, or no longer kept so far back): what was derived from it is read anew.
    opened.addEventListener('reset', () => {
      opened.close();
      position = null;
      later(0);
    });
    opened.onerror = () => {
      if (is_over) return;
      if (opened.readyState === opened.CLOSED) later();
      else onConnection('waiting');
    };
  };

  const later = (wait_ms = retry_ms.least + Math.random() * retry_ms.spread) => {
    onConnection('waiting');
    timer = setTimeout(() => void begin(), wait_ms);
  };

  const end = () => {
    if (is_over) return;
    is_over = true;
    clearTimeout(timer);
    source?.close();
    onConnection('ended');
  };

  void begin();
  return end;
}
