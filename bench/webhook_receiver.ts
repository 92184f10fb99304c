// The far side of webhooks to be measured: a process of its own that answers at once, or never, and notes how old each event was.
import { createServer } from 'node:http';
import { z } from 'zod';

const QuestionSchema = z.enum(['begin', 'read']);

let delays_ms: number[] = [];
let first_at_ms = 0;
let last_at_ms = 0;

const recorded_at = /"recorded_at":"([^"]+)"/;

const server = createServer((request, response) => {
  let text = '';
  request.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
  });
  request.on('end', () => {
    if (request.url?.startsWith('/hang') === true) return;
    response.writeHead(204).end();
    const now_ms = Date.now();
    if (delays_ms.length === 0) first_at_ms = now_ms;
    last_at_ms = now_ms;
    delays_ms.push(now_ms - Date.parse(recorded_at.exec(text)?.[1] ?? 'never'));
  });
});
server.keepAliveTimeout = 60_000;

server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const tell = () => {
    delays_ms.sort((a, b) => a - b);
    process.send?.({ port: address.port, received: delays_ms.length, first_at_ms, last_at_ms, delays_ms });
  };
  process.on('message', (message) => {
    if (QuestionSchema.parse(message) === 'begin') delays_ms = [];
    tell();
  });
  tell();
});
