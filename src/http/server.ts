// The socket's side: timeouts against slow clients, a bound on connections, and answers to what never became a request.
import type { RequestListener } from 'node:http';
import type { Socket } from 'node:net';
import { Problem } from '../errors.ts';
import { encodeId, newUuid } from '../id.ts';
import { HttpServer } from './connections.ts';
import { problem_content_type, renderProblem } from './problem.ts';

export interface Timeouts {
  /** for the head of a request */
  headers_ms: number;
  /** for the whole of a request, its body included */
  request_ms: number;
  /** of an idle connection; longer than the 60 s of the usual load balancers, which would otherwise race with us */
  keep_alive_ms: number;
  /** for a client that takes nothing of its answer */
  untaken_ms: number;
  /** how often slow requests are looked for */
  check_ms: number;
}

const usual_timeouts: Timeouts = {
  headers_ms: 10_000,
  request_ms: 60_000,
  keep_alive_ms: 65_000,
  untaken_ms: 30_000,
  check_ms: 2_000,
};
/** open sockets, some 10 KB each */
const max_connections = 20_000;

/** A server that is not listening yet. */
export function createHttpServer(listener: RequestListener, timeouts: Timeouts = usual_timeouts): HttpServer {
  const options = {
    headersTimeout: timeouts.headers_ms,
    requestTimeout: timeouts.request_ms,
    keepAliveTimeout: timeouts.keep_alive_ms,
    connectionsCheckingInterval: timeouts.check_ms,
    // A request without Host is refused where all others are, with a problem (head.ts).
    requireHostHeader: false,
  };
  const server = new HttpServer(options, timeouts.untaken_ms);
  server.maxConnections = max_connections;
  server.serve(listener);
  server.on('clientError', (error: Error & { code?: string }, socket: Socket) => {
    if (error.code === 'ECONNRESET') socket.destroy();
    else server.afterAnswers(socket, () => refuseSocket(error, socket));
  });
  return server;
}

/** Answers what never became a request: too slow, too large a head, or not HTTP. */
function refuseSocket(error: Error & { code?: string }, socket: Socket): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const problem = socketProblem(error.code);
  const request_id = encodeId('request', newUuid());
  const body = renderProblem(problem, '', request_id);
  const head = [
    `HTTP/1.1 ${problem.status} ${problem.status === 408 ? 'Request Timeout' : 'Bad Request'}`,
    `Content-Type: ${problem_content_type}`,
    `Content-Length: ${Buffer.byteLength(body)}`,
    `Request-Id: ${request_id}`,
    'Connection: close',
  ];
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`);
}

function socketProblem(code: string | undefined): Problem {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return new Problem('request_timeout', 'The request took too long to arrive');
    case 'HPE_HEADER_OVERFLOW':
      return new Problem('invalid_request', 'The head of the request has more than 16 KiB');
    default:
      return new Problem('invalid_request', 'This is not HTTP/1.1');
  }
}
