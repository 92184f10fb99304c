// JSON from outside: what JSON.parse would silently accept and Postgres or the next reader would not, is refused here with a pointer.
import { isUtf8 } from 'node:buffer';
import { type FieldError, Problem } from '../errors.ts';
import { max_field_errors, max_item_errors, pointerSegment } from '../shape.ts';

/** far deeper than any documented body; what is nested further is meant to exhaust a stack */
const max_depth = 32;
/** more than the largest body of documented shape has; empty ones take twenty times the memory of their text */
const max_containers = 1_000_000;

/**
 * The value of a JSON body.
 * Errors: `malformed_json`; `body_too_large` for very many objects and arrays; `invalid_request` for a field with U+0000, a lone surrogate, a
 * repeated or reserved name, or nested too deeply.
 */
export function parseJson(body: Buffer): unknown {
  return parseText(utf8Text(body), 'body');
}

/** Why a text from outside cannot be stored or signed, or null when it can. */
export function textFault(text: string): Omit<FieldError, 'pointer'> | null {
  if (text.includes('\0')) return { code: 'nul_character', detail: 'U+0000 is not allowed in text' };
  if (!text.isWellFormed()) {
    return { code: 'lone_surrogate', detail: 'half of a surrogate pair is not a character' };
  }
  return null;
}

export function utf8Text(body: Buffer): string {
  if (!isUtf8(body)) throw new Problem('malformed_json', 'The body is not UTF-8');
  return body.toString('utf8');
}

/** The value of a body or of an item of one; pointers begin at either. Errors: those of `parseJson`. */
export function parseText(text: string, part: 'body' | 'item'): unknown {
  const { depth, pairs, containers } = measure(text);
  checkContainers(containers);
  if (depth > max_depth) {
    throw refused(part, [
      { pointer: '#', code: 'too_deep', detail: `nested deeper than ${max_depth} levels` },
    ]);
  }
  const value = parseSyntax(text, part);
  if (pairs !== countPairs(value)) throw refused(part, [repeatedName(text)]);
  // A NUL or a lone surrogate can only stand in valid JSON as an escape, and so can a disguised name.
  if (text.includes('\\u') || text.includes('__proto__')) {
    const max = part === 'item' ? max_item_errors : max_field_errors;
    const faults: FieldError[] = [];
    collectFaults(value, '#', faults, max);
    if (faults.length > 0) throw refused(part, faults);
  }
  return value;
}

/** A text whose parts are parsed one by one. Errors: `body_too_large`. */
export function checkSize(text: string): void {
  checkContainers(measure(text).containers);
}

function checkContainers(containers: number): void {
  if (containers <= max_containers) return;
  const detail = `more than ${max_containers} objects and arrays`;
  throw new Problem('body_too_large', `The body has ${detail}`, {
    errors: [{ pointer: '#', code: 'body_too_large', detail }],
  });
}

/** What JSON.parse makes of it, at any depth. Errors: `malformed_json`. */
export function parseSyntax(text: string, part: 'body' | 'item'): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    // The message quotes the client's text; the position is enough.
    const position = error instanceof SyntaxError ? /at position (\d+)/.exec(error.message)?.[1] : undefined;
    const detail =
      position === undefined ? 'ends or begins unexpectedly' : `is not JSON at character ${position}`;
    throw new Problem('malformed_json', `The ${part} ${detail}`, {
      errors: [{ pointer: '#', code: 'malformed_json', detail }],
    });
  }
}

/** In words an item names no pointer: the bulk request that refuses it says it from its own root. */
function refused(part: 'body' | 'item', errors: FieldError[]): Problem {
  const [first] = errors;
  const detail = part === 'item' ? `${first?.detail}` : `${first?.pointer}: ${first?.detail}`;
  return new Problem('invalid_request', detail, { errors });
}

/** How deep the text nests, how many names with values and how many objects and arrays it has; exact for valid JSON, harmless for any other. */
function measure(text: string): { depth: number; pairs: number; containers: number } {
  let containers = 0;
  let level = 0;
  let depth = 0;
  let pairs = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text.charCodeAt(i)) {
      case 0x22: // a string: to its closing quote
        for (i += 1; i < text.length; i += 1) {
          const unit = text.charCodeAt(i);
          if (unit === 0x22) break;
          if (unit === 0x5c) i += 1;
        }
        break;
      case 0x3a: // :
        pairs += 1;
        break;
      case 0x5b: // [
      case 0x7b: // {
        containers += 1;
        level += 1;
        if (level > depth) depth = level;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        level -= 1;
    }
  }
  return { depth, pairs, containers };
}

/** How many names with values a parsed value has; fewer than its text had when a name was repeated. */
function countPairs(value: unknown): number {
  let pairs = 0;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object') pairs += countPairs(item);
  } else if (typeof value === 'object' && value !== null) {
    const items: unknown[] = Object.values(value);
    pairs += items.length;
    for (const item of items) if (typeof item === 'object') pairs += countPairs(item);
  }
  return pairs;
}

/** Adds what is wrong with a value, until there are `max` faults. */
function collectFaults(value: unknown, pointer: string, faults: FieldError[], max: number): void {
  if (faults.length >= max) return;
  if (typeof value === 'string') {
    const fault = textFault(value);
    if (fault !== null) faults.push({ pointer, ...fault });
  } else if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) collectFaults(item, `${pointer}/${index}`, faults, max);
  } else if (typeof value === 'object' && value !== null) {
    for (const [name, item] of Object.entries(value)) {
      if (faults.length >= max) return;
      const fault =
        name === '__proto__' ? { code: 'unknown_field', detail: 'a reserved name' } : textFault(name);
      // A name that cannot be stored cannot be shown either.
      if (fault !== null)
        faults.push({ pointer: name === '__proto__' ? `${pointer}/__proto__` : pointer, ...fault });
      else collectFaults(item, `${pointer}/${pointerSegment(name)}`, faults, max);
    }
  }
}

interface Level {
  pointer: string;
  /** null in an array */
  names: Set<string> | null;
  /** items before the present one, in an array */
  index: number;
  /** the present member's name, in an object */
  name: string;
}

/** Where valid JSON repeats a name. */
function repeatedName(text: string): FieldError {
  const levels: Level[] = [];
  let last_string = '';
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[{}[\],:]/g)) {
    const level = levels.at(-1);
    if (token === '{' || token === '[') {
      const step =
        level === undefined ? '' : `/${level.names === null ? level.index : pointerSegment(level.name)}`;
      const pointer = (level?.pointer ?? '#') + step;
      levels.push({ pointer, names: token === '{' ? new Set() : null, index: 0, name: '' });
    } else if (token === '}' || token === ']') {
      levels.pop();
    } else if (token === ',' && level !== undefined) {
      level.index += 1;
    } else if (token === ':' && level !== undefined && level.names !== null) {
      level.name = String(JSON.parse(last_string));
      if (level.names.has(level.name)) {
        const pointer = `${level.pointer}/${pointerSegment(level.name)}`;
        return { pointer, code: 'repeated_field', detail: 'the field is given twice' };
      }
      level.names.add(level.name);
    } else {
      last_string = token;
    }
  }
  return { pointer: '#', code: 'repeated_field', detail: 'a field is given twice' };
}
