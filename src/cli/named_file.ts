// A file that is named on the command line.
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';

export function readNamed(path: string): string {
  checkNamed(path);
  return readFileSync(path, 'utf8');
}

/** Throws one line about a file that cannot be read. */
export function checkNamed(path: string): void {
  if (!existsSync(path)) throw new Error(`there is no file ${path}`);
  if (statSync(path).isDirectory()) throw new Error(`${path} is a directory, not a file`);
  accessSync(path, constants.R_OK);
}
