// HTTP as bytes, for requests that no HTTP client would send.
import { connect, type Socket } from 'node:net';
import { waitFor } from '../support/wait.ts';

export interface RawConnection {
  socket: Socket;
  /** everything that has arrived */
  received: () => string;
  isClosed: () => boolean;
  /** waits for the head and as much body as it declares */
  answer: () => Promise<RawAnswer>;
}

interface RawAnswer {
  status: number;
  /** names in lower case */
  headers: Map<string, string>;
  body: string;
}

export async function openSocket(url: string): Promise<RawConnection> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  let closed = false;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('close', () => {
    closed = true;
  });
  // A reset shows as `closed`; what arrived before it is what the test looks at.
  socket.on('error', () => {});
  await new Promise<void>((resolve) => socket.once('connect', resolve));
  const received = () => Buffer.concat(chunks).toString();
  return {
    socket,
    received,
    isClosed: () => closed,
    answer: () => waitFor('the answer is there', () => parseAnswer(received())),
  };
}

function parseAnswer(text: string): RawAnswer | null {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return null;
  const [status_line = '', ...lines] = text.slice(0, end).split('\r\n');
  const headers = new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()] as const;
    }),
  );
  const body = text.slice(end + 4);
  if (Buffer.byteLength(body) < Number(headers.get('content-length') ?? 0)) return null;
  return { status: Number(status_line.split(' ')[1]), headers, body };
}

/** The head of a request, with an API key and a fresh enough Idempotency-Key. */
export function requestHead(
  target: string,
  headers: Record<string, string | number>,
  api_key: string | null,
): string {
  const lines = [
    target.includes(' ') ? `${target} HTTP/1.1` : `POST ${target} HTTP/1.1`,
    'Host: localhost',
    ...(api_key === null ? [] : [`Authorization: Bearer ${api_key}`]),
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ];
  return `${lines.join('\r\n')}\r\n\r\n`;
}
