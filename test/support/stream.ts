// A client of server-sent events as one writes it without an EventSource: over fetch, with a key, message by message.
import { waitFor } from './wait.ts';

export interface Message {
  id: string | null;
  /** `message` when it has no name of its own */
  event: string;
  /** null: the message only moves the id on */
  data: string | null;
}

export interface StreamOptions {
  api_key?: string | null;
  last_event_id?: string | number;
  headers?: Record<string, string>;
}

export class TestStream {
  readonly status: number;
  readonly headers: Headers;
  readonly messages: Message[] = [];
  /** comments, without their colon */
  readonly comments: string[] = [];
  /** every `retry:` that was sent */
  readonly retries: number[] = [];
  readonly #abort: AbortController;
  readonly #ended: Promise<'ended' | 'cut' | 'closed'>;
  text = '';
  #rest = '';

  private constructor(response: Response, abort: AbortController) {
    this.status = response.status;
    this.headers = response.headers;
    this.#abort = abort;
    this.#ended = this.#read(response);
  }

  static async open(url: string, options: StreamOptions = {}): Promise<TestStream> {
    const abort = new AbortController();
    const headers = new Headers({ Accept: 'text/event-stream', ...options.headers });
    if (options.api_key != null) headers.set('Authorization', `Bearer ${options.api_key}`);
    if (options.last_event_id !== undefined) headers.set('Last-Event-ID', String(options.last_event_id));
    return new TestStream(await fetch(url, { headers, signal: abort.signal }), abort);
  }

  /** Resolves when the stream is over: ended by the server, cut, or closed by us. */
  get ended(): Promise<'ended' | 'cut' | 'closed'> {
    return this.#ended;
  }

  /** The messages that have data. */
  get events(): Message[] {
    return this.messages.filter(({ data }) => data !== null);
  }

  get positions(): number[] {
    return this.events.map(({ id }) => Number(id));
  }

  /** The id with which to come back. */
  get last_event_id(): string | null {
    return this.messages.findLast(({ id }) => id !== null)?.id ?? null;
  }

  /** Waits until so many events have come. */
  async count(count: number): Promise<Message[]> {
    await waitFor(`${count} events have come`, () => this.events.length >= count);
    return this.events;
  }

  /** Waits until the stream has caught up. */
  async live(): Promise<void> {
    await waitFor('the stream is live', () => this.is_live);
  }

  /** Whether a stream of events has caught up, or a stream of a state has sent the first. */
  get is_live(): boolean {
    const [first] = this.messages;
    if (first === undefined) return false;
    if (first.data !== null && first.event !== 'reset') return true;
    return this.messages.slice(1).some(({ data }) => data === null);
  }

  /** Waits until everything up to a position has been seen or passed over. */
  async reached(position: number): Promise<void> {
    await waitFor(`the stream has come to ${position}`, () => Number(this.last_event_id) >= position);
  }

  async close(): Promise<void> {
    this.#abort.abort();
    await this.#ended;
  }

  async #read(response: Response): Promise<'ended' | 'cut' | 'closed'> {
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body ?? []) this.#take(decoder.decode(chunk, { stream: true }));
      return 'ended';
    } catch {
      return this.#abort.signal.aborted ? 'closed' : 'cut';
    }
  }

  #take(text: string): void {
    this.text += text;
    const blocks = (this.#rest + text).split('\n\n');
    this.#rest = blocks.pop() ?? '';
    for (const block of blocks) this.#parse(block);
  }

  #parse(block: string): void {
    const message: Message = { id: null, event: 'message', data: null };
    for (const line of block.split('\n')) {
      const [, field = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (field === '') this.comments.push(value);
      else if (field === 'id') message.id = value;
      else if (field === 'event') message.event = value;
      else if (field === 'data') message.data = value;
      else if (field === 'retry') this.retries.push(Number(value));
    }
    if (message.id !== null || message.data !== null) this.messages.push(message);
  }
}
