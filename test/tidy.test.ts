// Gate: the tree is as ARCHITECTURE.md says. What may import what, who names which table, and what is banned where.
import { dirname, join, normalize } from 'node:path';
import { describe, expect, test } from 'vitest';
import { listFiles, parseTypeScript, readSource, type TypeScript } from './support/source.ts';
import { bans, breaches, module_order } from './support/tidy.ts';

/** The schema of a module is named like it, but for these. */
const schema_of: Record<string, string> = { projections: 'projection' };

const files = listFiles();
const is_code = (path: string) => /^(src|test|scripts|bench|examples|sql|console)\/.*\.(ts|sql)$/.test(path);
const code = files.filter(is_code).map(readSource);
const typescript = files
  .filter((path) => path.endsWith('.ts'))
  .map((path) => parseTypeScript(readSource(path)));

/** `src/modules/ledger/accounts.ts` → `ledger` */
function moduleOf(path: string): string | null {
  return /^src\/modules\/([^/]+)\//.exec(path)?.[1] ?? null;
}

/** Relative imports and re-exports of a file, as paths from the root. */
function importsOf(file: TypeScript): string[] {
  const { staticImports, staticExports, dynamicImports } = file.parsed.module;
  const dynamic = dynamicImports.map(({ moduleRequest }) =>
    file.text.slice(moduleRequest.start + 1, moduleRequest.end - 1),
  );
  const exported = staticExports.flatMap(({ entries }) => entries.map((entry) => entry.moduleRequest?.value));
  return [...staticImports.map(({ moduleRequest }) => moduleRequest.value), ...exported, ...dynamic]
    .filter((name) => name?.startsWith('.') === true)
    .map((name) => normalize(join(dirname(file.path), String(name))));
}

/** Which parts of the process a file in one of them may import; the vocabulary is `src/*.ts`. */
const may_import: Record<string, string[]> = {
  vocabulary: ['vocabulary'],
  modules: ['vocabulary', 'modules'],
  jobs: ['vocabulary', 'modules', 'jobs'],
  http: ['vocabulary', 'modules', 'http'],
  assembly: ['vocabulary', 'modules', 'jobs', 'http', 'embedded', 'cli', 'assembly'],
  cli: ['vocabulary', 'modules', 'jobs', 'http', 'embedded', 'cli', 'assembly'],
  embedded: ['vocabulary', 'embedded'],
};

function partOf(path: string): string {
  if (path === 'src/main.ts' || path === 'src/modules.ts') return 'assembly';
  if (path === 'src/embedded.ts') return 'embedded';
  const [, folder] = /^src\/([^/]+)\//.exec(path) ?? [];
  return folder ?? 'vocabulary';
}

function importBreaches(file: TypeScript): string[] {
  const part = partOf(file.path);
  const own = moduleOf(file.path);
  return importsOf(file)
    .filter((target) => target.startsWith('src/'))
    .flatMap((target) => {
      const other = moduleOf(target);
      if (may_import[part]?.includes(partOf(target)) !== true) {
        return [`${file.path}: ${part} does not import ${partOf(target)} (${target})`];
      }
      if (other === null || other === own) return [];
      if (target !== `src/modules/${other}/index.ts`)
        return [`${file.path}: ${other} is met at its index.ts, not ${target}`];
      const is_downwards = own === null || module_order.indexOf(other) < module_order.indexOf(own);
      return is_downwards
        ? []
        : [`${file.path}: ${own} comes before ${other}; upwards it speaks through the log`];
    });
}

describe('imports', () => {
  const source = typescript.filter(({ path }) => path.startsWith('src/'));

  test('modules are those of the order', () => {
    const folders = new Set(source.flatMap(({ path }) => moduleOf(path) ?? []));
    expect([...folders].sort()).toEqual([...module_order].sort());
  });

  test('go downwards, and into a module only through its index.ts', () => {
    const found = source.flatMap(importsOf);
    expect(found.length).toBeGreaterThan(80);
    expect(found.filter((target) => moduleOf(target) !== null).length).toBeGreaterThan(30);
    expect(source.flatMap(importBreaches)).toEqual([]);
  });

  test('that do not, are found', () => {
    const breach = (path: string, text: string) => importBreaches(parseTypeScript({ path, text }));
    expect(breach('src/modules/log/a.ts', "import '../ledger/index.ts';")).toHaveLength(1);
    expect(breach('src/modules/ledger/a.ts', "export { b } from '../log/events.ts';")).toHaveLength(1);
    expect(breach('src/modules/ledger/a.ts', "await import('../../http/app.ts');")).toHaveLength(1);
    expect(breach('src/http/a.ts', "import '../modules/access/keys.ts';")).toHaveLength(1);
    expect(breach('src/db.ts', "import type { B } from './modules/log/index.ts';")).toHaveLength(1);
    expect(
      breach('src/modules/ledger/a.ts', "import '../log/index.ts'; import './b.ts'; import '../../db.ts';"),
    ).toEqual([]);
  });
});

describe('tables', () => {
  const owned = new Map<string, string>(
    code
      .filter(({ path }) => path.startsWith('sql/migrations/'))
      .flatMap(({ text }) => [...text.matchAll(/^create table (?:if not exists )?(\w+)\.(\w+)/gm)])
      .map(([, schema = '', table = '']) => [`${schema}.${table}`, schema] as const),
  );

  const history = new Set(['log.event', 'log.consumer', 'ledger.entry']);
  /** path → why it reads history itself, and not through a function of the module that owns it */
  const unmediated: Record<string, string> = {
    'src/modules/proofs/leaves.sql':
      'a function in the database could be replaced by whoever changed history',
    'src/modules/proofs/verification.sql': 'the same',
  };

  /** Projections end in `_v` and are read like views: that is what they are for. */
  function foreignTables(path: string, text: string): string[] {
    const own = path.startsWith('src/jobs/') ? 'jobs' : moduleOf(path);
    const own_schema = own === null ? null : (schema_of[own] ?? own);
    return [...text.replaceAll(/--.*$/gm, '').matchAll(/\b([a-z_]+\.[a-z_]+)\b/g)]
      .map(([, name = '']) => name)
      .filter((name) => owned.has(name) && owned.get(name) !== own_schema && !name.endsWith('_v'))
      .filter((name) => !(path in unmediated && history.has(name)))
      .map((name) => `${path}: ${name} belongs to another module`);
  }

  test("only a module's own .sql names its tables", () => {
    expect(owned.size).toBeGreaterThan(12);
    const sources = code.filter(({ path }) => path.startsWith('src/') && path.endsWith('.sql'));
    expect(sources.length).toBeGreaterThan(10);
    expect(sources.flatMap(({ path, text }) => foreignTables(path, text))).toEqual([]);
    expect(sources.map(({ path }) => path)).toEqual(expect.arrayContaining(Object.keys(unmediated)));
  });

  test('that another module names, are found', () => {
    expect(foreignTables('src/modules/access/a.sql', 'select 1 from ledger.entry')).toHaveLength(1);
    expect(foreignTables('src/migrate.sql', 'select 1 from log.event')).toHaveLength(1);
    expect(foreignTables('src/modules/ledger/a.sql', '-- log.event\nselect 1 from ledger.entry')).toEqual([]);
  });

  /** path → why its statement is put together in code */
  const composed: Record<string, string> = {
    'src/modules/ledger/posting_batch.ts':
      'a call of one function, whose array parameters are the columns of the batch',
  };

  test('SQL stands in .sql files', () => {
    const statement =
      /[`'"]\s*(select\s[^'"`]*\sfrom\s|insert\s+into\s|update\s+\w+\.\w+\s+set\s|delete\s+from\s)/i;
    const source = typescript.filter(({ path }) => /^src\/(modules|http|jobs)\//.test(path));
    expect(statement.test('const a = `select 1 from b`')).toBe(true);
    const found = source.filter(({ text }) => statement.test(text)).map(({ path }) => path);
    expect(found).toEqual(Object.keys(composed));
  });
});

describe('bans', () => {
  test.each(bans)('$name: $because', (ban) => {
    const held = typescript.filter(({ path }) => ban.holds(path));
    expect(held.length).toBeGreaterThan(8);
    expect(held.flatMap((file) => breaches(ban, file))).toEqual([]);
  });

  test.each(bans)('$name is found in code that has it, and only there', (ban) => {
    const path = held_path(ban.holds);
    expect(breaches(ban, parseTypeScript({ path, text: ban.breach }))).toHaveLength(1);
    expect(breaches(ban, parseTypeScript({ path, text: ban.fine }))).toEqual([]);
  });

  function held_path(holds: (path: string) => boolean): string {
    const path = ['src/modules/ledger/a.ts', 'test/a.test.ts'].find(holds);
    if (path === undefined) throw new Error('a ban that holds nowhere');
    return path;
  }

  test('nothing is put off in a comment', () => {
    const put_off = /\b(TODO|FIXME|HACK)\b/;
    const texts = files
      .filter((path) => /\.(ts|sql|md|sh|json|html|css|yml|toml)$|Dockerfile|\.ci\/run/.test(path))
      .map(readSource);
    expect(texts.length).toBeGreaterThan(80);
    expect(put_off.test(['// TO', 'DO later'].join(''))).toBe(true);
    const found = texts.filter(({ path, text }) => path !== 'test/tidy.test.ts' && put_off.test(text));
    expect(found.map(({ path }) => path)).toEqual([]);
  });
});

describe('files', () => {
  const max_lines = 350;
  const drawer = /(^|\/)(utils?|helpers?|common|shared|lib|misc)(\/|\.|$)/i;

  test(`have at most ${max_lines} lines`, () => {
    expect(code.length).toBeGreaterThan(80);
    const long = code.map(({ path, text }) => ({ path, lines: text.split('\n').length - 1 }));
    expect(long.filter(({ lines }) => lines > max_lines)).toEqual([]);
  });

  test('are named for what they hold, not for a drawer', () => {
    expect(drawer.test('src/utils.ts') && drawer.test('src/lib/a.ts')).toBe(true);
    expect(files.filter((path) => drawer.test(path))).toEqual([]);
  });
});
