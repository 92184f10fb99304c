// A server that knows what is under way on each of its connections. To Node a connection is idle as soon as its answer was handed over,
// when megabytes of it may still have to go out; whoever stops the server would cut them off.
import { type IncomingMessage, Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  /** requests whose answers have not gone out */
  under_way: Set<IncomingMessage>;
  /** refuses what came after them, which is no request */
  refuse: (() => void) | null;
  /** how much had arrived when the last answer was out; null while nothing was ever asked */
  read_bytes: number | null;
}

export class HttpServer extends Server {
  readonly #connections = new Map<Socket, Connection>();
  /** A client that takes nothing of its answer for so long is cut off: to Node it may take all the time in the world, and the memory. */
  readonly #untaken_ms: number;

  constructor(options: ServerOptions, untaken_ms: number) {
    super(options);
    this.#untaken_ms = untaken_ms;
    this.on('connection', (socket: Socket) => {
      this.#connections.set(socket, { under_way: new Set(), refuse: null, read_bytes: null });
      socket.once('close', () => this.#connections.delete(socket));
    });
  }

  /** Takes every request, also one that asks leave for its body or expects something else. */
  serve(listener: (request: IncomingMessage, response: ServerResponse) => void): void {
    const take = (request: IncomingMessage, response: ServerResponse) => {
      this.#begin(request, response);
      listener(request, response);
    };
    this.on('request', take);
    // The body is only asked for once the key has been accepted (body.ts).
    this.on('checkContinue', take);
    this.on('checkExpectation', take);
  }

  #begin(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request;
    const connection = this.#connections.get(socket);
    if (connection === undefined) return;
    connection.under_way.add(request);
    const end = () => {
      connection.under_way.delete(request);
      connection.read_bytes = socket.bytesRead;
      refuseWhenAnswered(connection);
    };
    // All of the answer has been handed to the socket, in its turn; a file goes there piece by piece.
    response.once('prefinish', () => {
      if (socket.writableLength > 0) socket.setTimeout(this.#untaken_ms);
    });
    response.once('pipe', () => socket.setTimeout(this.#untaken_ms));
    response.once('close', () => {
      // A refused body may still be arriving.
      if (request.complete) end();
      else request.once('close', end);
    });
  }

  /**
   * Calls `refuse`, once, when all requests that have arrived whole on a connection are answered: what cannot be read came after them, and its
   * refusal must not be taken for the answer to one of them, which may have had its effect.
   */
  afterAnswers(socket: Socket, refuse: () => void): void {
    const connection = this.#connections.get(socket);
    if (connection === undefined || connection.refuse !== null) return;
    connection.refuse = refuse;
    refuseWhenAnswered(connection);
  }

  /** Ends connections that have had all their answers; Node itself calls it when the server stops listening. */
  override closeIdleConnections(): void {
    for (const [socket, { under_way, read_bytes }] of this.#connections) {
      // What has arrived since is the head of the next request.
      if (under_way.size === 0 && read_bytes === socket.bytesRead && socket.writableLength === 0)
        socket.destroy();
    }
  }

  /** Ends connections on which nothing was ever asked, such as a browser opens ahead of need. */
  closeUnusedConnections(): void {
    for (const [socket, { under_way, read_bytes }] of this.#connections) {
      if (under_way.size === 0 && read_bytes === null) socket.destroy();
    }
  }
}

function refuseWhenAnswered(connection: Connection): void {
  const { under_way, refuse } = connection;
  if (refuse === null) return;
  for (const request of under_way) if (request.complete) return;
  connection.refuse = () => undefined;
  refuse();
}
