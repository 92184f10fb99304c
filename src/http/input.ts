// What a handler gets, parsed by its route's schemas. All wrong fields of path, query and body are named in one answer.
import { z } from 'zod';
import { Problem } from '../errors.ts';
import type { Input, ItemList, MediaType, Principal, Route } from '../route.ts';
import { type Misshapen, shapeProblem } from '../shape.ts';
import { mediaType } from './body.ts';
import type { Exchange } from './exchange.ts';
import { parseJsonItems, parseNdjsonItems } from './items.ts';
import { parseJson, textFault } from './json.ts';
import { parseQuery } from './query.ts';

/** of a route that declares no query or no body */
const NothingSchema = z.strictObject({});
const NoBodySchema = NothingSchema.optional();

/** Errors, in order: `unsupported_media_type`, `malformed_json`, `invalid_request` or what a refinement asks for. */
export function parseInput(
  route: Route,
  exchange: Exchange,
  principal: Principal,
  params: Record<string, string>,
  body: Buffer,
): Input {
  const items = route.kind === 'post' ? route.items : undefined;
  const media_type = mediaType(exchange.request, body, items !== undefined);
  const value = media_type === null ? undefined : parseBody(media_type, body, items);
  checkText(params);
  const faults: Misshapen[] = [];
  const parse = (schema: z.ZodType | undefined, pointer: string, given: unknown): unknown => {
    if (schema === undefined) return undefined;
    const parsed = schema.safeParse(given);
    if (parsed.success) return parsed.data;
    faults.push({ pointer, given, error: parsed.error });
    return undefined;
  };
  const input: Input = {
    principal,
    params: parse(route.params, '#/path', params),
    query: parse(route.query ?? NothingSchema, '#/query', parseQuery(exchange.search)),
    body: parse(route.body ?? NoBodySchema, '#', value),
    media_type,
    url: exchange.url,
    headers: exchange.request.headers,
  };
  if (faults.length > 0) throw shapeProblem(faults);
  return input;
}

function parseBody(media_type: MediaType, body: Buffer, items: ItemList | undefined): unknown {
  if (items === undefined) return parseJson(body);
  return media_type === 'json' ? parseJsonItems(body, items) : parseNdjsonItems(body, items);
}

/** `%00` in a path is text that no id or code contains, and that Postgres refuses to compare. */
function checkText(params: Record<string, string>): void {
  for (const [name, value] of Object.entries(params)) {
    const fault = textFault(value);
    if (fault === null) continue;
    const pointer = `#/path/${name}`;
    throw new Problem('invalid_request', `${pointer}: ${fault.detail}`, { errors: [{ pointer, ...fault }] });
  }
}
