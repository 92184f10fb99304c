// The named queries of the product, and how the code beside them calls them.
import { dirname, join, normalize } from 'node:path';
import { type Expression, type ObjectExpression, type Program, Visitor } from 'oxc-parser';
import { parseQueries, type Query } from '../../src/db.ts';
import { listFiles, parseTypeScript, readSource } from './source.ts';

export interface NamedQuery extends Query {
  /** of the .sql file */
  path: string;
}

export interface Call {
  path: string;
  sql_path: string;
  query: string;
  /** names of the values given; null when they are not spelled out */
  values: string[] | null;
  /** fields of the row's schema; null when there is none or it is not a plain object */
  fields: string[] | null;
  /** whether the call parses rows at all */
  parses: boolean;
}

export function namedQueries(): NamedQuery[] {
  return listFiles()
    .filter((path) => path.startsWith('src/') && path.endsWith('.sql'))
    .flatMap((path) =>
      [...parseQueries(readSource(path).text).values()].map((query) => ({ ...query, path })),
    );
}

/** Calls of the form `x.one(sql.account_find, { … }, RowSchema)`. */
export function queryCalls(sql_path: string): Call[] {
  const path = sql_path.replace(/\.sql$/, '.ts');
  const { program } = parseTypeScript(readSource(path)).parsed;
  const calls: Call[] = [];
  new Visitor({
    CallExpression: (node) => {
      const { callee } = node;
      const [query, values, row] = node.arguments;
      if (callee.type !== 'MemberExpression' || callee.property.type !== 'Identifier') return;
      if (!/^(one|maybe|many|run|call|callRows)$/.test(callee.property.name)) return;
      if (
        query?.type !== 'MemberExpression' ||
        query.object.type !== 'Identifier' ||
        query.object.name !== 'sql'
      )
        return;
      if (query.property.type !== 'Identifier') return;
      calls.push({
        path,
        sql_path,
        query: query.property.name,
        values: values?.type === 'ObjectExpression' ? keysOf(values) : null,
        parses: row !== undefined,
        fields: row === undefined || row.type === 'SpreadElement' ? null : schemaFields(row, program, path),
      });
    },
  }).visit(program);
  return calls;
}

/** null when a spread hides some */
function keysOf(object: ObjectExpression): string[] | null {
  const keys = object.properties.map((property) =>
    property.type === 'Property' && property.key.type === 'Identifier' ? property.key.name : null,
  );
  return keys.every((key) => key !== null) ? keys : null;
}

/** The fields of a zod object, through `.extend`, `.omit`, `.pick` and names declared in this file or imported by it. */
function schemaFields(node: Expression, program: Program, path: string): string[] | null {
  if (node.type === 'Identifier') return namedSchemaFields(node.name, program, path);
  if (node.type !== 'CallExpression' || node.callee.type !== 'MemberExpression') return null;
  const { object, property } = node.callee;
  const [shape] = node.arguments;
  if (property.type !== 'Identifier') return null;
  if (object.type === 'Identifier' && object.name === 'z') {
    const is_object = /^(object|strictObject)$/.test(property.name) && shape?.type === 'ObjectExpression';
    return is_object ? keysOf(shape) : null;
  }
  const base = schemaFields(object, program, path);
  if (base === null) return null;
  if (/^(meta|describe|transform|refine|nullable|readonly)$/.test(property.name)) return base;
  const named = shape?.type === 'ObjectExpression' ? keysOf(shape) : null;
  if (named === null) return null;
  if (property.name === 'extend') return [...new Set([...base, ...named])];
  if (property.name === 'omit') return base.filter((key) => !named.includes(key));
  return property.name === 'pick' ? base.filter((key) => named.includes(key)) : null;
}

function namedSchemaFields(name: string, program: Program, path: string): string[] | null {
  for (const statement of program.body) {
    if (statement.type === 'ImportDeclaration') {
      const source = statement.source.value;
      const specifier = statement.specifiers.find(({ local }) => local.name === name);
      if (specifier?.type !== 'ImportSpecifier' || specifier.imported.type !== 'Identifier') continue;
      return source.startsWith('.') ? importedSchemaFields(specifier.imported.name, path, source) : null;
    }
    const exported = statement.type === 'ExportNamedDeclaration' ? statement.declaration : statement;
    if (exported?.type !== 'VariableDeclaration') continue;
    const declared = exported.declarations.find(({ id }) => id.type === 'Identifier' && id.name === name);
    if (declared?.init) return schemaFields(declared.init, program, path);
  }
  return null;
}

/** Follows one import; an index.ts that re-exports leads on. */
function importedSchemaFields(name: string, importer: string, source: string): string[] | null {
  const path = normalize(join(dirname(importer), source));
  const { program } = parseTypeScript(readSource(path)).parsed;
  const own = namedSchemaFields(name, program, path);
  if (own !== null) return own;
  for (const statement of program.body) {
    if (statement.type !== 'ExportNamedDeclaration' || statement.source === null) continue;
    const specifier = statement.specifiers.find(
      ({ exported }) => exported.type === 'Identifier' && exported.name === name,
    );
    if (specifier?.local.type === 'Identifier') {
      return importedSchemaFields(specifier.local.name, path, statement.source.value);
    }
  }
  return null;
}
