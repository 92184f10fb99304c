// The query of a target: names and text values, one level of brackets (`created_at[gte]=…`), nothing twice. What stands between the first
// bracket and the last is one name, brackets and all: a key of metadata may have some.
import { type FieldError, Problem } from '../errors.ts';
import { max_field_errors } from '../shape.ts';
import { textFault } from './json.ts';

const no_query: Record<string, unknown> = Object.freeze({});

/** The fields of a query without its `?`. Errors: `invalid_request`. */
export function parseQuery(search: string): Record<string, unknown> {
  if (search === '') return no_query;
  const flat = new Map<string, string>();
  const nested = new Map<string, Map<string, string>>();
  const faults: FieldError[] = [];
  for (const part of search.split('&')) {
    if (part === '') continue;
    const fault = addField(part, flat, nested);
    if (fault !== null) faults.push(fault);
    if (faults.length === max_field_errors) break;
  }
  const [first] = faults;
  if (first !== undefined) {
    throw new Problem('invalid_request', `${first.pointer}: ${first.detail}`, { errors: faults });
  }
  return Object.fromEntries<unknown>([
    ...flat,
    ...[...nested].map(([name, members]) => [name, Object.fromEntries(members)] as const),
  ]);
}

function addField(
  part: string,
  flat: Map<string, string>,
  nested: Map<string, Map<string, string>>,
): FieldError | null {
  const equals = part.indexOf('=');
  const name = decoded(equals === -1 ? part : part.slice(0, equals));
  const value = decoded(equals === -1 ? '' : part.slice(equals + 1));
  const shape = name === null ? null : /^([a-z][a-z0-9_]*)(?:\[([\s\S]{1,200})\])?$/.exec(name);
  if (shape === null)
    return { pointer: '#/query', code: 'unknown_field', detail: 'not the name of a parameter' };
  const [, field = '', member] = shape;
  const pointer = `#/query/${field}`;
  if (value === null) return { pointer, code: 'invalid_encoding', detail: 'not percent-encoded UTF-8' };
  if (member === '__proto__') return { pointer, code: 'unknown_field', detail: 'a reserved name' };
  const fault = textFault(value) ?? (member === undefined ? null : textFault(member));
  if (fault !== null) return { pointer, ...fault };
  if (member === undefined) {
    if (flat.has(field) || nested.has(field)) return repeated(pointer);
    flat.set(field, value);
    return null;
  }
  const members = nested.get(field) ?? new Map<string, string>();
  if (flat.has(field) || members.has(member)) return repeated(pointer);
  nested.set(field, members.set(member, value));
  return null;
}

function repeated(pointer: string): FieldError {
  return { pointer, code: 'repeated_field', detail: 'the parameter is given twice' };
}

/** Percent-decoded text, or null when that is not UTF-8. */
function decoded(text: string): string | null {
  const spaced = text.replaceAll('+', ' ');
  if (!spaced.includes('%')) return spaced;
  try {
    return decodeURIComponent(spaced);
  } catch {
    // A URIError is the only thing that can be thrown: the client's mistake, which the caller names.
    return null;
  }
}
