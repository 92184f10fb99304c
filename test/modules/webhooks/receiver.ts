// The far side of a webhook: a real server that keeps what it was sent and answers as it is told.
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import { z } from 'zod';
import { atEnd } from '../../support/database.ts';

export interface Received {
  path: string;
  headers: IncomingHttpHeaders;
  text: string;
  at_ms: number;
}

/** Answers a call; the default is an empty 204. */
export type Answering = (response: ServerResponse, received: Received, number: number) => void;

export interface Receiver {
  url: string;
  port: number;
  received: Received[];
  answer: Answering;
  /** the ids of what was received, in the order of arrival */
  ids: () => string[];
}

export const accept: Answering = (response) => response.writeHead(204).end();

/** Ends with the file. */
export async function aReceiver(answer: Answering = accept): Promise<Receiver> {
  const received: Received[] = [];
  const receiver: Receiver = {
    url: '',
    port: 0,
    received,
    answer,
    ids: () => received.map(({ headers }) => z.string().parse(headers['webhook-id'])),
  };
  const server = createServer((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
    });
    request.on('end', () => {
      const call = { path: request.url ?? '/', headers: request.headers, text, at_ms: Date.now() };
      received.push(call);
      receiver.answer(response, call, received.length);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the receiver has no address');
  receiver.port = address.port;
  receiver.url = `http://127.0.0.1:${address.port}`;
  atEnd(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  return receiver;
}

/** What the official library takes as headers. */
export function headersOf({ headers }: Received): Record<string, string> {
  const names = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
  return Object.fromEntries(names.map((name) => [name, z.string().parse(headers[name])]));
}
