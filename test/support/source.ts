// Our own files as the gates see them: committed or about to be, parsed once.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ParseResult, parseSync } from 'oxc-parser';

export const root = join(import.meta.dirname, '..', '..');

export interface Source {
  /** from the root of the repository, with `/` */
  path: string;
  text: string;
}

export interface TypeScript extends Source {
  parsed: ParseResult;
}

/** Every file that git knows or would take, but the generated ones. */
export function listFiles(): string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return listed
    .split('\n')
    .filter((path) => path !== '' && !generated.has(path) && existsSync(join(root, path)))
    .sort();
}

const generated = new Set(['openapi/openapi.json', 'sql/schema.sql', 'package-lock.json']);

export function readSource(path: string): Source {
  return { path, text: readFileSync(join(root, path), 'utf8') };
}

export function parseTypeScript(source: Source): TypeScript {
  const parsed = parseSync(source.path, source.text);
  const [error] = parsed.errors;
  if (error !== undefined) throw new Error(`${source.path}: ${error.message}`);
  return { ...source, parsed };
}

export function lineAt(text: string, offset: number): number {
  return text.slice(0, offset).split('\n').length;
}
