// Clients of streams for the length of a measurement.
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { RunFailed } from './measure.ts';
import { type StreamReport, StreamReportSchema, type StreamResult, type StreamSpec } from './protocol.ts';

const opening_timeout_ms = 120_000;

export interface StreamClients {
  /** What came from here on is counted. */
  measure: () => void;
  /** Stops counting, and answers what came. */
  stop: () => Promise<StreamResult>;
  /** Waits until it is over by itself. */
  over: Promise<StreamResult>;
  pid: number;
  leave: () => Promise<void>;
}

/** Resolves when all streams are open. */
export async function openStreams(spec: StreamSpec): Promise<StreamClients> {
  const child = fork(join(import.meta.dirname, 'streams.ts'));
  const reports = new Map<StreamReport['kind'], (report: StreamReport) => void>();
  const of = (kind: StreamReport['kind']) =>
    new Promise<StreamReport>((resolve) => {
      reports.set(kind, resolve);
    });
  const opened = of('opened');
  const result = of('result').then((report) => {
    if (report.kind !== 'result') throw new Error('not a result');
    if (report.errors > 0) {
      throw new RunFailed(
        `${report.errors} errors of streams: ${report.problems.join(' | ')}`,
        report.errors,
      );
    }
    return report;
  });
  result.catch(() => undefined);
  child.on('message', (message) => {
    const report = StreamReportSchema.parse(message);
    reports.get(report.kind)?.(report);
  });
  child.send(spec);
  await Promise.race([opened, timeout(child)]);
  return {
    measure: () => child.send('measure'),
    stop: () => {
      child.send('stop');
      return result;
    },
    over: result,
    pid: child.pid ?? 0,
    leave: async () => {
      const gone = new Promise((resolve) => child.once('exit', resolve));
      child.send('leave');
      await gone;
    },
  };
}

function timeout(child: ChildProcess): Promise<never> {
  return new Promise((_, reject) => {
    setTimeout(() => {
      child.kill('SIGKILL');
      reject(new RunFailed(`the streams were not open within ${opening_timeout_ms} ms`, 1));
    }, opening_timeout_ms).unref();
  });
}
