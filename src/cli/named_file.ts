// A file that is named on the command line.
import { existsSync, readFileSync, statSync } from 'node:fs';

export function readNamed(path: string): string {
  if (!existsSync(path)) throw new Error(`there is no file ${path}`);
  if (statSync(path).isDirectory()) throw new Error(`${path} is a directory, not a file`);
  return readFileSync(path, 'utf8');
}
