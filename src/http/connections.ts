// A server that knows what is under way on each of its connections. To Node a connection is idle as soon as its answer was handed over,
// when megabytes of it may still have to go out; whoever stops the server would cut them off.
import { type IncomingMessage, Server, type ServerOptions, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';

interface Connection {
  /** requests whose answers have not gone out */
  under_way: number;
  /** how much had arrived when the last answer was out; null while nothing was ever asked */
  read_bytes: number | null;
}

export class HttpServer extends Server {
  readonly #connections = new Map<Socket, Connection>();

  constructor(options: ServerOptions) {
    super(options);
    this.on('connection', (socket: Socket) => {
      this.#connections.set(socket, { under_way: 0, read_bytes: null });
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
    connection.under_way += 1;
    const end = () => {
      connection.under_way -= 1;
      connection.read_bytes = socket.bytesRead;
    };
    response.once('close', () => {
      // A refused body may still be arriving.
      if (request.complete) end();
      else request.once('close', end);
    });
  }

  /** Ends connections that have had all their answers; Node itself calls it when the server stops listening. */
  override closeIdleConnections(): void {
    for (const [socket, { under_way, read_bytes }] of this.#connections) {
      // What has arrived since is the head of the next request.
      if (under_way === 0 && read_bytes === socket.bytesRead && socket.writableLength === 0) socket.destroy();
    }
  }

  /** Ends connections on which nothing was ever asked, such as a browser opens ahead of need. */
  closeUnusedConnections(): void {
    for (const [socket, { under_way, read_bytes }] of this.#connections) {
      if (under_way === 0 && read_bytes === null) socket.destroy();
    }
  }
}
