// The bans of the house style, each as data: where it holds, what finds a breach, a snippet that it must find and one that it must not.
import { Visitor, type VisitorObject } from 'oxc-parser';
import { lineAt, type TypeScript } from './source.ts';

/** Lowest first; a module imports only those before it. */
export const module_order = ['log', 'tenants', 'access', 'ledger', 'projections', 'proofs', 'webhooks'];

export interface Ban {
  name: string;
  /** why it is banned */
  because: string;
  holds: (path: string) => boolean;
  /** calls `found` with the offset of each breach */
  visitor: (found: (node: { start: number }) => void) => VisitorObject;
  breach: string;
  fine: string;
  /** path → how many, and why they are right there */
  allowed?: Record<string, { count: number; reason: string }>;
}

export function breaches(ban: Ban, file: TypeScript): string[] {
  const lines: number[] = [];
  new Visitor(ban.visitor((node) => lines.push(lineAt(file.text, node.start)))).visit(file.parsed.program);
  const allowed = ban.allowed?.[file.path]?.count ?? 0;
  if (lines.length === allowed) return [];
  if (lines.length < allowed)
    return [`${file.path}: ${ban.name}: only ${lines.length} left, ${allowed} are allowed`];
  return lines.map((line) => `${file.path}:${line}: ${ban.name} (${ban.because})`);
}

const everywhere = () => true;
const in_source = (path: string) => path.startsWith('src/');
const in_tests = (path: string) => path.startsWith('test/');
const in_process = (path: string) => /^src\/(modules|http|jobs)\//.test(path);
const near_money = (path: string) => /^(src\/modules\/|src\/money|examples\/|test\/)/.test(path);
const money_word = /amount|balance|debit|credit|available|posted|pending|total/i;

/** `a.b.c` of an expression, as far as it is one */
function dotted(node: unknown): string {
  if (!isNode(node)) return '';
  if (node.type === 'Identifier') return String(node.name);
  if (node.type === 'MemberExpression') return `${dotted(node.object)}.${dotted(node.property)}`;
  return '';
}

function isNode(node: unknown): node is { type: string } & Record<string, unknown> {
  return typeof node === 'object' && node !== null && 'type' in node;
}

export const bans: Ban[] = [
  {
    name: 'any',
    because: 'it switches the checker off for all that touches it',
    holds: everywhere,
    visitor: (found) => ({ TSAnyKeyword: found }),
    breach: 'const a: any = 1;',
    fine: 'const any: unknown = 1;',
  },
  {
    name: 'a cast',
    because: 'parse at the border, then trust the types',
    holds: everywhere,
    visitor: (found) => ({
      TSAsExpression: (node) => {
        const annotation = node.typeAnnotation;
        const is_const = annotation.type === 'TSTypeReference' && dotted(annotation.typeName) === 'const';
        if (!is_const) found(node);
      },
      TSTypeAssertion: found,
    }),
    breach: 'const a = b as Account;',
    fine: 'const a = [1] as const; export { a as b };',
    allowed: {
      'src/db.ts': { count: 1, reason: 'Object.fromEntries forgets the names it was given' },
    },
  },
  {
    name: 'a non-null assertion',
    because: 'what cannot be missing is typed so, the rest is decided',
    holds: everywhere,
    visitor: (found) => ({ TSNonNullExpression: found }),
    breach: 'const a = b!;',
    fine: 'const a = !b;',
  },
  {
    name: "?? ''",
    because: 'an empty string hides what was missing',
    holds: in_source,
    visitor: (found) => ({
      LogicalExpression: (node) => {
        const right = node.right;
        if (node.operator === '??' && right.type === 'Literal' && right.value === '') found(node);
      },
    }),
    allowed: {
      'src/modules/ledger/batch_arrays.ts': {
        count: 1,
        reason: 'an absent text is an empty field between separators',
      },
    },
    breach: "const a = b ?? '';",
    fine: 'const a = b ?? null;',
  },
  {
    name: 'an empty catch',
    because: 'a failure is decided about, not swallowed',
    holds: everywhere,
    visitor: (found) => ({
      CatchClause: (node) => {
        if (node.body.body.length === 0) found(node);
      },
      CallExpression: (node) => {
        const [handler] = node.arguments;
        if (!dotted(node.callee).endsWith('.catch') || handler?.type !== 'ArrowFunctionExpression') return;
        if (handler.body.type === 'BlockStatement' && handler.body.body.length === 0) found(node);
      },
    }),
    breach: 'try { a(); } catch {}',
    fine: 'try { a(); } catch { b = true; }',
  },
  {
    name: 'process.env',
    because: 'src/main.ts hands the environment to src/config.ts, which reads it once',
    holds: (path) => in_source(path) && path !== 'src/config.ts' && path !== 'src/main.ts',
    visitor: (found) => ({
      MemberExpression: (node) => {
        if (dotted(node) === 'process.env') found(node);
      },
      ImportSpecifier: (node) => {
        if (dotted(node.imported) === 'env') found(node);
      },
    }),
    breach: "import { env } from 'node:process';",
    fine: "import { pid } from 'node:process';",
  },
  {
    name: 'a call to the outside',
    because: 'src/jobs/outbound.ts has the timeouts, the size cap and the address guard',
    holds: (path) => in_source(path) && path !== 'src/jobs/outbound.ts',
    visitor: (found) => ({
      CallExpression: (node) => {
        if (
          /^((globalThis\.)?fetch|https?\.(request|get)|(net|tls)\.(connect|createConnection))$/.test(
            dotted(node.callee),
          )
        ) {
          found(node);
        }
      },
      ImportDeclaration: (node) => {
        if (node.source.value === 'undici') found(node);
        if (!/^node:(https?|net|tls)$/.test(node.source.value)) return;
        for (const specifier of node.specifiers) {
          if (specifier.type !== 'ImportSpecifier') continue;
          if (/^(request|get|connect|createConnection)$/.test(dotted(specifier.imported))) found(specifier);
        }
      },
    }),
    breach: "import { request } from 'node:https';",
    fine: "import { createServer } from 'node:http';",
    allowed: { 'src/cli/api.ts': { count: 1, reason: 'the command line is a client of our own API' } },
  },
  {
    name: 'new Tx',
    because: 'only src/db.ts can make one, so what has no Tx cannot touch data',
    holds: (path) => in_source(path) && path !== 'src/db.ts',
    visitor: (found) => ({
      NewExpression: (node) => {
        if (dotted(node.callee) === 'Tx') found(node);
      },
    }),
    breach: 'const tx = new Tx(client, actor);',
    fine: 'const map = new Map();',
  },
  {
    name: 'console',
    because: 'what the process says is structured and redacted: logger',
    holds: in_process,
    visitor: (found) => ({
      MemberExpression: (node) => {
        if (dotted(node.object) === 'console') found(node);
      },
    }),
    breach: "console.log('posted');",
    fine: "logger.info('posted');",
  },
  {
    name: 'a stand-in',
    because: "tests run against the real thing; the network's far side is a real local server",
    holds: in_tests,
    visitor: (found) => ({
      ImportSpecifier: (node) => {
        if (dotted(node.imported) === 'vi' || dotted(node.imported) === 'mock') found(node);
      },
    }),
    breach: "import { vi } from 'vitest';",
    fine: "import { test } from 'vitest';",
  },
  {
    name: 'a test that does not run',
    because: 'a skipped test proves nothing and looks as if it did',
    holds: in_tests,
    visitor: (found) => ({
      MemberExpression: (node) => {
        if (/^(test|it|describe|suite)(\.\w+)*\.(skip|only|todo|skipIf|runIf|fails)$/.test(dotted(node)))
          found(node);
      },
    }),
    breach: "test.skip('later', () => {});",
    fine: "test.each([1])('now', () => {});",
  },
  {
    name: 'a sleep',
    because: 'waits poll a condition: test/support/wait.ts',
    holds: (path) => in_tests(path) && path !== 'test/support/wait.ts',
    visitor: (found) => ({
      ImportDeclaration: (node) => {
        if (/timers\/promises$/.test(node.source.value)) found(node);
      },
      CallExpression: (node) => {
        const [callback] = node.arguments;
        if (dotted(node.callee) === 'setTimeout' && callback?.type === 'Identifier') found(node);
      },
    }),
    breach: 'await new Promise((resolve) => setTimeout(resolve, 100));',
    fine: 'setTimeout(() => socket.destroy(), 100);',
  },
  {
    name: 'a float near money',
    because: 'amounts are bigint in arithmetic and strings elsewhere',
    holds: near_money,
    visitor: (found) => ({
      CallExpression: (node) => {
        const callee = dotted(node.callee);
        const [argument] = node.arguments;
        if (/(^|\.)(parseFloat|toFixed|toPrecision)$/.test(callee)) found(node);
        else if (/^(Number|Number\.parseInt|parseInt)$/.test(callee) && money_word.test(dotted(argument)))
          found(node);
      },
      UnaryExpression: (node) => {
        if (node.operator === '+' && money_word.test(dotted(node.argument))) found(node);
      },
    }),
    breach: 'const a = Number(entry.amount);',
    fine: 'const a = BigInt(entry.amount) + 1n; const b = Number(row.count);',
  },
];
