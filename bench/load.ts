// The load generator: a process of its own that keeps N connections busy, each with one request at a time. It shares two cores with
// what it measures, so it speaks HTTP/1.1 by hand: texts made beforehand, one reading buffer for all sockets, few objects per request.
import { writeFileSync } from 'node:fs';
import net from 'node:net';
import { newHistogram, record } from './histogram.ts';
import { type LoadSpec, LoadSpecSchema, type Report } from './protocol.ts';
import { requestsOf } from './traffic.ts';

const header_end = Buffer.from('\r\n\r\n');
/** As the API writes it in front of each acknowledged transaction. */
const id_mark = Buffer.from('"id":"txn_');
const id_length = 26;
const reading_buffer = Buffer.allocUnsafe(256 * 1024);
/** Longer than any answer may take; then the run has failed. */
const patience_ms = 60_000;

process.once('message', (message) => run(LoadSpecSchema.parse(message)));

function run(spec: LoadSpec): void {
  const requests = requestsOf(spec.traffic);
  const total = spec.requests ?? requests.total;
  const histogram = newHistogram();
  const problems: string[] = [];
  let errors = 0;
  let sent = 0;
  let measured = 0;
  let acknowledged = 0;
  let ids = Buffer.allocUnsafe(id_length * 65_536);
  let phase: 'warming' | 'measuring' | 'over' = 'warming';
  let started_at = 0;
  let ended_at = 0;
  let open = spec.connections;
  /** between two requests of a connection */
  const interval_ms = spec.rate === null ? 0 : (spec.connections / spec.rate) * 1000;

  const fail = (problem: string) => {
    errors += 1;
    if (problems.length < 5) problems.push(problem);
  };

  const begin = () => {
    phase = 'measuring';
    started_at = performance.now();
    tell({ kind: 'measuring' });
    if (total === null) setTimeout(end, spec.seconds * 1000);
  };

  const end = () => {
    if (phase === 'over') return;
    phase = 'over';
    ended_at = performance.now();
    tell({ kind: 'measured' });
  };

  const finish = () => {
    end();
    writeFileSync(spec.ids_file, ids.subarray(0, acknowledged * id_length));
    tell({
      kind: 'result',
      requests: measured,
      transactions: measured * requests.transactions,
      seconds: (ended_at - started_at) / 1000,
      acknowledged,
      errors,
      problems,
      histogram,
    });
    process.disconnect();
  };

  const acknowledge = (body: Buffer) => {
    let found = 0;
    for (let at = body.indexOf(id_mark); at !== -1; at = body.indexOf(id_mark, at + id_length)) {
      if ((acknowledged + 1) * id_length > ids.length) ids = Buffer.concat([ids], ids.length * 2);
      const start = at + id_mark.length;
      body.copy(ids, acknowledged * id_length, start, start + id_length);
      acknowledged += 1;
      found += 1;
    }
    if (found !== requests.transactions) {
      fail(`an answer acknowledges ${found} transactions of ${requests.transactions}`);
    }
  };

  const answered = (status: number, body: Buffer, sent_at: number) => {
    if (phase === 'measuring') {
      measured += 1;
      record(histogram, (performance.now() - sent_at) * 1000);
    }
    if (status !== requests.status) fail(`${status} ${body.toString('utf8', 0, 400)}`);
    else if (requests.transactions > 0) acknowledge(body);
  };

  const connect = () => {
    let sent_at = 0;
    let due_at = performance.now() + Math.random() * interval_ms;
    let closing = false;
    const reader = new AnswerReader();
    const socket = net.connect({
      host: '127.0.0.1',
      port: spec.port,
      noDelay: true,
      onread: {
        buffer: reading_buffer,
        callback: (length) => {
          const body = reader.read(reading_buffer.subarray(0, length));
          if (body !== null) {
            answered(reader.status, body, sent_at);
            sendWhenDue();
          }
          return true;
        },
      },
    });
    const sendWhenDue = () => {
      due_at += interval_ms;
      const wait_ms = due_at - performance.now();
      if (wait_ms <= 0) send();
      else setTimeout(send, wait_ms);
    };
    const send = () => {
      if (phase === 'over' || (total !== null && sent >= total)) {
        closing = true;
        socket.end();
        return;
      }
      sent_at = performance.now();
      socket.write(requests.next(sent), 'latin1');
      sent += 1;
    };
    socket.setTimeout(patience_ms, () => socket.destroy(new Error(`no answer within ${patience_ms} ms`)));
    socket.on('connect', sendWhenDue);
    socket.on('error', (error) => fail(error.message));
    socket.on('close', (had_error) => {
      if (!closing && !had_error) fail('the server closed the connection');
      open -= 1;
      if (open === 0) finish();
    });
  };

  for (let connection = 0; connection < spec.connections; connection += 1) connect();
  if (total === null) setTimeout(begin, spec.warmup_seconds * 1000);
  else begin();
}

/** Puts one answer after another together from what a socket brings. Understands what the server sends: a status and a Content-Length. */
class AnswerReader {
  status = 0;
  #parts: Buffer[] = [];
  /** of the body, still to come; null while the header is incomplete */
  #missing: number | null = null;

  /** The body, once it is complete; valid until the next read of any socket. */
  read(bytes: Buffer): Buffer | null {
    let rest = bytes;
    if (this.#missing === null) {
      rest = this.#joined(rest);
      const end = rest.indexOf(header_end);
      if (end === -1) return this.#keep(rest);
      const header = rest.toString('latin1', 0, end);
      const content_length = /\r\ncontent-length: (\d+)/i.exec(header)?.[1];
      if (content_length === undefined) throw new Error(`an answer without Content-Length: ${header}`);
      this.status = Number(header.slice(9, 12));
      this.#missing = Number(content_length);
      rest = rest.subarray(end + header_end.length);
    }
    this.#missing -= rest.length;
    if (this.#missing > 0) return this.#keep(rest);
    this.#missing = null;
    return this.#joined(rest);
  }

  #keep(bytes: Buffer): null {
    this.#parts.push(Buffer.from(bytes));
    return null;
  }

  #joined(rest: Buffer): Buffer {
    if (this.#parts.length === 0) return rest;
    const whole = Buffer.concat([...this.#parts, rest]);
    this.#parts = [];
    return whole;
  }
}

function tell(report: Report): void {
  if (process.send === undefined) throw new Error('started by hand: the bench starts this process');
  process.send(report);
}
