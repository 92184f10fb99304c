// The items of a bulk body. One that cannot be parsed is a Problem in its place, with pointers from the item on, so that it hurts no other.
import { isUtf8 } from 'node:buffer';
import { Problem } from '../errors.ts';
import type { ItemList } from '../route.ts';
import { checkSize, parseSyntax, parseText, utf8Text } from './json.ts';

/** A JSON body with its list. Errors: those of `parseJson`, for what is wrong outside of the items or is no JSON at all. */
export function parseJsonItems(body: Buffer, list: ItemList): unknown {
  const text = utf8Text(body);
  try {
    return parseText(text, 'body');
  } catch (error) {
    const spans = isShapeFault(error) ? findItems(text, list.field) : null;
    if (spans === null) throw error;
    const envelope = parseText(text.slice(0, spans.begin) + text.slice(spans.end), 'body');
    if (typeof envelope !== 'object') throw error;
    return { ...envelope, [list.field]: parseEach(spans.texts, list) };
  }
}

/** Newline-delimited JSON, as a body that has nothing but its list; empty lines do not count. */
export function parseNdjsonItems(body: Buffer, list: ItemList): unknown {
  // What is not UTF-8 is so in some of its lines: they are told apart as bytes.
  const is_utf8 = isUtf8(body);
  const text = body.toString(is_utf8 ? 'utf8' : 'latin1');
  checkSize(text);
  const texts = text.split('\n').filter((line) => line.trim() !== '');
  return { [list.field]: parseEach(texts, list, is_utf8 ? parseItem : parseLine) };
}

/** The value of an item, or why it has none. */
function parseItem(text: string): unknown {
  try {
    return parseText(text, 'item');
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
}

/** The value of a line, or why it has none. `latin1` has a character for each of its bytes. */
export function parseLine(latin1: string): unknown {
  const bytes = Buffer.from(latin1, 'latin1');
  if (isUtf8(bytes)) return parseItem(bytes.toString('utf8'));
  const detail = 'is not UTF-8';
  return new Problem('malformed_json', `The item ${detail}`, {
    errors: [{ pointer: '#', code: 'malformed_json', detail }],
  });
}

/** More items than are taken are refused for their number alone: they are left as they are. */
function parseEach(texts: string[], { max }: ItemList, parse = parseItem): unknown[] {
  return texts.length > max ? texts : texts.map(parse);
}

function isShapeFault(error: unknown): boolean {
  return error instanceof Problem && error.code === 'invalid_request';
}

/** Where the text of a JSON object has its list and each of the items. Null when it has no such list. Errors: `malformed_json`. */
function findItems(text: string, field: string): { begin: number; end: number; texts: string[] } | null {
  // Too deep is said of what has not been parsed yet; what follows would be led astray by anything but JSON.
  parseSyntax(text, 'body');
  const texts: string[] = [];
  let level = 0;
  let string_at = 0;
  let name: unknown;
  let begin = -1;
  let item_at = 0;
  for (let i = 0; i < text.length; i += 1) {
    switch (text[i]) {
      case '"':
        string_at = i;
        for (i += 1; text[i] !== '"'; i += 1) if (text[i] === '\\') i += 1;
        break;
      case ':':
        if (level === 1) name = JSON.parse(text.slice(string_at, i));
        break;
      case '[':
      case '{':
        level += 1;
        if (level === 2 && begin < 0 && name === field && text[i] === '[') begin = item_at = i + 1;
        break;
      case ',':
        if (level !== 2 || begin < 0) break;
        texts.push(text.slice(item_at, i));
        item_at = i + 1;
        break;
      case ']':
      case '}':
        if (level === 2 && begin >= 0) {
          const last = text.slice(item_at, i);
          if (last.trim() !== '') texts.push(last);
          return { begin, end: i, texts };
        }
        level -= 1;
    }
  }
  return null;
}
