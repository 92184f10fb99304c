// The OpenAPI document as a judge: whether an answer is one that the document promises.
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { z } from 'zod';

const MediaSchema = z.record(z.string(), z.looseObject({ schema: z.unknown() }));
const ResponseSchema = z.looseObject({
  headers: z.record(z.string(), z.unknown()).default({}),
  content: MediaSchema.optional(),
});
const OperationSchema = z.looseObject({
  operationId: z.string(),
  summary: z.string().min(1),
  description: z.string().min(1),
  tags: z.array(z.string()).min(1),
  parameters: z.array(z.looseObject({ name: z.string().optional() })).default([]),
  requestBody: z
    .looseObject({
      required: z.boolean().optional(),
      content: z.record(z.string(), z.looseObject({ schema: z.unknown() })),
    })
    .optional(),
  responses: z.record(z.string(), ResponseSchema),
});

const SchemaSchema = z.record(z.string(), z.unknown());
const component_prefix = '#/components/schemas/';

/** What this support reads of an OpenAPI document. */
export const DocumentSchema = z.looseObject({
  paths: z.record(z.string(), z.record(z.string(), OperationSchema)),
  components: z.looseObject({ schemas: z.record(z.string(), z.unknown()) }),
});

export type Document = z.infer<typeof DocumentSchema>;

interface Given {
  status: number;
  headers: Headers;
  body: unknown;
  text: string;
}

/** by the text of the document, which nearly all servers have in common */
const contracts = new Map<string, Contract>();

export function contractIn(text: string): Contract {
  const contract = contracts.get(text) ?? new Contract(JSON.parse(text));
  contracts.set(text, contract);
  return contract;
}

export class Contract {
  readonly #document: Document;
  /** by name; what an operation refers to */
  readonly #components: Record<string, unknown>;
  readonly #ajv = new Ajv2020({
    strict: false,
    validateFormats: false,
    allErrors: true,
    discriminator: false,
  });
  /** the components that Ajv has been told of */
  readonly #referred = new Set<string>();
  readonly #validators = new Map<string, ValidateFunction>();
  readonly #paths: { pattern: RegExp; path: string }[];

  constructor(document: unknown) {
    this.#document = DocumentSchema.parse(document);
    this.#components = this.#document.components.schemas;
    // A literal segment goes before a parameter: `/transactions/bulk` is not a transaction called bulk.
    this.#paths = Object.keys(this.#document.paths)
      .sort((a, b) => Number(a.includes('{')) - Number(b.includes('{')))
      .map((path) => ({ path, pattern: new RegExp(`^${path.replace(/\{[^}]+\}/g, '[^/]+')}$`) }));
  }

  /** Throws when the document does not promise this answer to this request. */
  check(method: string, target: string, given: Given): void {
    const pathname = target.split('?')[0] ?? target;
    const name = `${method} ${pathname} → ${given.status}`;
    const path = this.#paths.find(({ pattern }) => pattern.test(pathname))?.path;
    const operation = path === undefined ? undefined : this.#document.paths[path]?.[method.toLowerCase()];
    if (path === undefined || operation === undefined) throw new Error(`${name}: not in the document`);
    const response = operation.responses[given.status];
    if (response === undefined) {
      throw new Error(`${name}: ${operation.operationId} documents no such status\n${given.text}`);
    }
    const is_tagged = Object.hasOwn(response.headers, 'ETag');
    // A stored answer is repeated without it; a refusal may tell it.
    if (given.status < 300 && !given.headers.has('idempotent-replayed')) {
      if (is_tagged !== given.headers.has('etag')) {
        throw new Error(`${name}: ${operation.operationId} documents ${is_tagged ? 'an' : 'no'} ETag`);
      }
    }
    if (response.content === undefined) {
      if (given.text !== '') throw new Error(`${name}: the document promises no body\n${given.text}`);
      return;
    }
    const media = (given.headers.get('content-type') ?? '').split(';')[0]?.trim() ?? '';
    if (response.content[media] === undefined) {
      throw new Error(`${name}: ${operation.operationId} documents no ${media || 'missing media type'}`);
    }
    if (!media.includes('json')) return;
    const place = [
      'paths',
      path,
      method.toLowerCase(),
      'responses',
      String(given.status),
      'content',
      media,
      'schema',
    ];
    const refusal = this.refusal(place, given.body);
    if (refusal !== null) throw new Error(`${name}: ${refusal}\n${given.text}`);
  }

  /** Whether a body fits the schema of a place in the document, such as `['paths', '/v1/accounts', 'post', 'requestBody', …, 'schema']`. */
  refusal(place: string[], body: unknown): string | null {
    const validate = this.#validator(place);
    return validate(body) ? null : this.#ajv.errorsText(validate.errors);
  }

  #validator(place: string[]): ValidateFunction {
    const name = place.join(' ');
    const known = this.#validators.get(name);
    if (known !== undefined) return known;
    const compiled = this.#ajv.compile(SchemaSchema.parse(this.#closed(valueAt(this.#document, place))));
    this.#validators.set(name, compiled);
    return compiled;
  }

  /**
   * A schema with every object closed, so that a field nobody documented is found. Clients must ignore such a field; we must not send
   * one. What it refers to is told to Ajv here, one by one: a file asks for few of the many.
   */
  #closed(node: unknown): unknown {
    if (Array.isArray(node)) return node.map((each) => this.#closed(each));
    if (typeof node !== 'object' || node === null) return node;
    const copy = Object.fromEntries(
      Object.entries(node).map(([name, value]) => [
        name,
        name === '$ref' ? this.#known(String(value)) : this.#closed(value),
      ]),
    );
    const is_object = copy.type === 'object' && 'properties' in copy && !('additionalProperties' in copy);
    return is_object && !('allOf' in copy) ? { ...copy, additionalProperties: false } : copy;
  }

  /** The key under which Ajv knows what a reference means. */
  #known(reference: string): string {
    const name = reference.replace(component_prefix, '');
    if (!Object.hasOwn(this.#components, name)) throw new Error(`${reference} is not in the document`);
    if (!this.#referred.has(name)) {
      // Before its own references, one of which may be to itself.
      this.#referred.add(name);
      this.#ajv.addSchema(SchemaSchema.parse(this.#closed(this.#components[name])), name);
    }
    return name;
  }
}

function valueAt(document: unknown, place: string[]): unknown {
  return place.reduce((node, name) => SchemaSchema.parse(node)[name], document);
}
