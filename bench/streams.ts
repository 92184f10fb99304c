// Clients of event streams: a process of its own that opens many, and measures each event from the instant at which the database recorded
// it until a client has it. It reads server-sent events by hand: one reading buffer for all sockets, nothing kept but what is cut in half.
import net from 'node:net';
import { newHistogram, record } from './histogram.ts';
import { type StreamReport, type StreamSpec, StreamSpecSchema } from './protocol.ts';

const reading_buffer = Buffer.allocUnsafe(1024 * 1024);
const header_end = Buffer.from('\r\n\r\n');
const message_end = Buffer.from('\n\n');
const id_mark = Buffer.from('id: ');
const data_mark = Buffer.from('\ndata: ');
const recorded_mark = Buffer.from('"recorded_at":"');
const newline = 0x0a;
const letter_i = 0x69;
/** events that are remembered */
const known_max = 4_096;
/** sockets that are opening at once */
const opening = 64;

process.once('message', (message) => run(StreamSpecSchema.parse(message)));

function run(spec: StreamSpec): void {
  const targets = spec.streams.flatMap(({ api_key, target, count }) =>
    Array.from({ length: count }, () => ({ api_key, target })),
  );
  let histogram = newHistogram();
  const problems: string[] = [];
  let errors = 0;
  let events = 0;
  let bytes = 0;
  let opened = 0;
  let next = 0;
  let is_over = false;
  let last_at = performance.now();
  let began_at = performance.now();
  const positions: number[] = [];
  const known = new Map<number, { length: number; recorded: number }>();

  const fail = (problem: string) => {
    errors += 1;
    if (problems.length < 5) problems.push(problem);
  };

  /** Takes the message that begins at a place of `text`, and answers where the next one begins; -1 when it is not whole. */
  const take = (text: Buffer, at: number, stream: number): number => {
    const id = numberAt(text, at + id_mark.length);
    // The same event goes to many streams: it is looked into once.
    let seen = known.get(id);
    if (
      seen === undefined ||
      text[at + seen.length - 1] !== newline ||
      text[at + seen.length - 2] !== newline
    ) {
      const end = text.indexOf(message_end, at);
      if (end === -1) return -1;
      const message = text.subarray(at, end);
      const data = message.indexOf(data_mark);
      if (data === -1) return end + message_end.length;
      const recorded = message.indexOf(recorded_mark, data) + recorded_mark.length;
      seen = { length: end + message_end.length - at, recorded: microsecondsOf(message, recorded) };
      if (known.size >= known_max) known.clear();
      known.set(id, seen);
    }
    const before = positions[stream];
    if (id === 0) fail(`not a position: ${text.toString('latin1', at, at + 80)}`);
    else if (before !== undefined && (id <= before || (spec.is_dense && id !== before + 1))) {
      fail(`${id} follows ${before}`);
    }
    positions[stream] = id;
    events += 1;
    last_at = performance.now();
    record(histogram, Math.max(0, nowMicroseconds() - seen.recorded));
    if (spec.until_position !== null && id >= spec.until_position) finish();
    return at + seen.length;
  };

  const open = () => {
    const stream = next;
    const target = targets[stream];
    if (target === undefined) return;
    next += 1;
    let rest: Buffer | null = null;
    let has_head = false;
    const socket = net.connect({
      host: '127.0.0.1',
      port: spec.port,
      onread: {
        buffer: reading_buffer,
        callback: (length) => {
          bytes += length;
          let text = reading_buffer.subarray(0, length);
          if (rest !== null) text = Buffer.concat([rest, text]);
          rest = null;
          let at = 0;
          if (!has_head) {
            const end = text.indexOf(header_end);
            if (end === -1) {
              rest = Buffer.from(text);
              return true;
            }
            const status = text.toString('latin1', 9, 12);
            if (status !== '200') fail(text.toString('latin1', 0, 400));
            has_head = true;
            at = end + header_end.length;
            opened += 1;
            if (opened === targets.length) tell({ kind: 'opened' });
            open();
          }
          while (at < text.length) {
            const end = text[at] === letter_i ? take(text, at, stream) : afterMessage(text, at);
            if (end === -1) break;
            at = end;
          }
          if (at < text.length) rest = Buffer.from(text.subarray(at));
          return true;
        },
      },
    });
    socket.on('connect', () =>
      socket.write(
        `GET ${target.target} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${target.api_key}\r\nAccept: text/event-stream\r\n\r\n`,
      ),
    );
    socket.on('error', (error) => {
      if (!is_over) fail(error.message);
    });
    socket.on('close', () => {
      if (!is_over) fail('the server closed a stream');
    });
  };

  const finish = () => {
    if (is_over) return;
    is_over = true;
    tell({
      kind: 'result',
      events,
      bytes,
      seconds: (last_at - began_at) / 1000,
      errors,
      problems,
      histogram,
    });
  };

  process.on('message', (message) => {
    if (message === 'measure') {
      histogram = newHistogram();
      events = 0;
      began_at = performance.now();
    } else if (message === 'stop') finish();
    else if (message === 'leave') process.exit();
  });
  for (let each = 0; each < opening; each += 1) open();
}

function afterMessage(text: Buffer, at: number): number {
  const end = text.indexOf(message_end, at);
  return end === -1 ? -1 : end + message_end.length;
}

/** The digits from a place on. */
function numberAt(text: Buffer, at: number): number {
  let number = 0;
  for (let index = at; ; index += 1) {
    const digit = (text[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 9) return number;
    number = number * 10 + digit;
  }
}

function nowMicroseconds(): number {
  return (performance.timeOrigin + performance.now()) * 1000;
}

/** `2026-11-20T09:00:00.123456Z`, with as many digits as there are */
function microsecondsOf(message: Buffer, at: number): number {
  const text = message.toString('latin1', at, message.indexOf('"', at));
  const seconds = Date.parse(`${text.slice(0, 19)}Z`);
  const fraction = text.slice(20, -1).padEnd(6, '0');
  return seconds * 1000 + (fraction === '' ? 0 : Number(fraction));
}

function tell(report: StreamReport): void {
  if (process.send === undefined) throw new Error('started by hand: the bench starts this process');
  process.send(report);
}
