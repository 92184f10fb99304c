// The named schemas of the OpenAPI document. A schema is named by its `id` in `.meta()`; one that reads differently on the way in is `<id>Input`.
import type { ReferenceObject, SchemaObject } from 'openapi3-ts/oas31';
import { z } from 'zod';
import type { ProblemCode } from '../errors.ts';
import { problemComponent, problemComponentName } from './problem_schemas.ts';

const DefinitionsSchema = z.record(z.string(), z.unknown());

export class Components {
  readonly #schemas = new Map<string, SchemaObject>();

  schema(schema: z.ZodType, io: 'input' | 'output'): SchemaObject | ReferenceObject {
    const { $schema: _, $defs, ...root } = jsonSchema(schema, io);
    const definitions = DefinitionsSchema.parse($defs ?? {});
    const names = this.#namesFor(definitions);
    for (const [id, definition] of Object.entries(definitions)) {
      this.add(names.get(id) ?? id, referring(definition, names));
    }
    return referring(root, names);
  }

  /** The top level of an object schema, for parameters. */
  object(schema: z.ZodType): SchemaObject {
    const converted = this.schema(schema, 'input');
    if (!('$ref' in converted)) return converted;
    const named = this.#schemas.get(converted.$ref.replace('#/components/schemas/', ''));
    if (named === undefined) throw new Error(`no component ${converted.$ref}`);
    return named;
  }

  problem(code: ProblemCode): ReferenceObject {
    const name = problemComponentName(code);
    if (!this.#schemas.has(name)) this.add(name, problemComponent(code));
    return { $ref: `#/components/schemas/${name}` };
  }

  maybe(name: string): SchemaObject | undefined {
    return this.#schemas.get(name);
  }

  add(name: string, schema: SchemaObject): void {
    this.#schemas.set(name, schema);
  }

  sorted(): Record<string, SchemaObject> {
    return Object.fromEntries([...this.#schemas].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #namesFor(definitions: Record<string, unknown>): Map<string, string> {
    const plain = new Map(Object.keys(definitions).map((id) => [id, id]));
    const differs = Object.entries(definitions).some(([id, definition]) => {
      const known = this.#schemas.get(id);
      return known !== undefined && JSON.stringify(known) !== JSON.stringify(referring(definition, plain));
    });
    return differs ? new Map(Object.keys(definitions).map((id) => [id, `${id}Input`])) : plain;
  }
}

function jsonSchema(schema: z.ZodType, io: 'input' | 'output') {
  return z.toJSONSchema(schema, {
    io,
    unrepresentable: 'any',
    override: ({ zodSchema, jsonSchema: converted }) => {
      const { def } = zodSchema._zod;
      // Text that becomes a number, in a query: a number to whoever reads the document.
      if (io === 'input' && def.type === 'pipe' && def.out._zod.def.type === 'number') {
        const { $schema: _, ...number } = z.toJSONSchema(def.out);
        delete converted.pattern;
        Object.assign(converted, number);
      }
      // Clients ignore fields they do not know, so only what is refused on the way in is closed.
      if (def.type === 'object' && !('catchall' in def && def.catchall !== undefined)) {
        delete converted.additionalProperties;
      }
    },
  });
}

/** With `$defs` of JSON Schema turned into components of OpenAPI. */
function referring(definition: unknown, names: Map<string, string>): SchemaObject {
  const text = JSON.stringify(definition).replace(/"#\/\$defs\/([^"]+)"/g, (_, id: string) =>
    JSON.stringify(`#/components/schemas/${names.get(id) ?? id}`),
  );
  return JSON.parse(text);
}
