// Where a command writes: lines for people, or JSON for programs, on standard output; what went wrong on standard error.
import { stderr, stdout } from 'node:process';

export interface Output {
  is_json: boolean;
  /** a line for people; nothing in JSON */
  line: (text: string) => void;
  /** one JSON document on a line of its own; nothing for people */
  json: (value: unknown) => void;
  /** a line that replaces the one before it, for people at a terminal; nothing anywhere else */
  progress: (text: string) => void;
}

export function createOutput(is_json: boolean): Output {
  const shows_progress = !is_json && stderr.isTTY === true;
  return {
    is_json,
    line: (text) => {
      if (!is_json) stdout.write(`${text}\n`);
    },
    json: (value) => {
      if (is_json) stdout.write(`${JSON.stringify(value)}\n`);
    },
    progress: (text) => {
      if (shows_progress) stderr.write(`\r\x1b[K${text}`);
    },
  };
}

/** `1,234 ms` */
export function milliseconds(from: number, to: number): string {
  return `${Math.round(to - from).toLocaleString('en')} ms`;
}
