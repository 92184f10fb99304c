// What a command of `lattice` is: a name, a zod object that is at once its options, its help and the type of its input, and a run.
import { parseArgs } from 'node:util';
import { z } from 'zod';
import type { Config } from '../config.ts';
import type { Output } from './output.ts';

export interface Run<Input> {
  input: Input;
  config: Config;
  output: Output;
}

export interface Command {
  /** `tenant create` */
  name: string;
  summary: string;
  /** lines that its help ends with */
  notes: string[];
  /** the names of what is given without an option, in order */
  positionals: string[];
  input: z.ZodObject;
  /** Answers the exit status. The input is what was typed, by field; UsageError when it does not fit. */
  run: (run: Run<Record<string, unknown>>) => Promise<number>;
}

/** Ties the run to the schema of the input. */
export function command<Input extends z.ZodObject>({
  positionals = [],
  notes = [],
  ...declared
}: {
  name: string;
  summary: string;
  notes?: string[];
  positionals?: string[];
  input: Input;
  run: (run: Run<z.output<Input>>) => Promise<number>;
}): Command {
  return {
    ...declared,
    notes,
    positionals,
    run: async ({ input, config, output }) => {
      const parsed = declared.input.safeParse(input);
      if (parsed.success) return declared.run({ input: parsed.data, config, output });
      const [issue] = parsed.error.issues;
      const field = String(issue?.path[0]);
      const name = positionals.includes(field) ? field.toUpperCase() : `--${field.replaceAll('_', '-')}`;
      throw new UsageError(input[field] === undefined ? `${name} is missing` : `${name}: ${issue?.message}`);
    },
  };
}

/** The command line cannot be understood: exit status 2, and the usage. */
export class UsageError extends Error {}

const everywhere = z.object({
  json: z.boolean().default(false).describe('answer in JSON'),
  help: z.boolean().default(false).describe('show this'),
});

const PropertySchema = z.looseObject({
  type: z.string().optional(),
  description: z.string().optional(),
  default: z.unknown().optional(),
  enum: z.array(z.string()).optional(),
});

interface Option {
  /** `chunk_size`, as the input's field */
  field: string;
  /** `chunk-size`, as typed */
  name: string;
  is_flag: boolean;
  description: string;
  default_text: string;
}

function optionsOf(command: Command): Option[] {
  const { properties } = z
    .object({ properties: z.record(z.string(), PropertySchema) })
    .parse(z.toJSONSchema(z.object({ ...command.input.shape, ...everywhere.shape }), { io: 'input' }));
  return Object.entries(properties)
    .filter(([field]) => !command.positionals.includes(field))
    .map(([field, property]) => ({
      field,
      name: field.replaceAll('_', '-'),
      is_flag: property.type === 'boolean',
      description: [property.description, property.enum?.join(', ')]
        .filter((part) => part !== undefined)
        .join(': '),
      default_text:
        property.default === undefined || property.default === false ? '' : ` (default ${property.default})`,
    }));
}

/** What was typed, by field. Throws UsageError. */
export function parseInput(
  command: Command,
  words: string[],
): { input: Record<string, unknown>; json: boolean; help: boolean } {
  const options = optionsOf(command);
  const { values, positionals } = parseWords(options, words);
  const { json, help } = everywhere.parse(values);
  const unknown = positionals[command.positionals.length];
  if (unknown !== undefined) throw new UsageError(`what is ${unknown}?`);
  const typed = [
    ...options.map((option) => [option.field, values[option.name]] as const),
    ...command.positionals.map((name, index) => [name, positionals[index]] as const),
  ];
  const input = typed.filter(
    ([field, value]) => value !== undefined && !Object.hasOwn(everywhere.shape, field),
  );
  return { input: Object.fromEntries(input), json, help };
}

function parseWords(options: Option[], words: string[]) {
  try {
    return parseArgs({
      args: words,
      allowPositionals: true,
      options: Object.fromEntries(
        options.map((option) => [option.name, { type: option.is_flag ? 'boolean' : 'string' }]),
      ),
    });
  } catch (error) {
    throw new UsageError(
      error instanceof Error ? (error.message.split('. ')[0] ?? error.message) : String(error),
    );
  }
}

export function usageLine(command: Command): string {
  const positionals = command.positionals.map((name) => ` ${name.toUpperCase()}`).join('');
  return `usage: lattice ${command.name}${positionals} [options]`;
}

export function helpText(command: Command): string {
  const options = optionsOf(command).map((option) => ({
    left: `--${option.name}${option.is_flag ? '' : ` ${option.field.toUpperCase()}`}`,
    right: `${option.description}${option.default_text}`,
  }));
  const width = Math.max(...options.map(({ left }) => left.length));
  return [
    `${command.summary}.`,
    '',
    usageLine(command),
    '',
    ...options.map(({ left, right }) => `  ${left.padEnd(width)}  ${right}`),
    ...(command.notes.length === 0 ? [] : ['', ...command.notes]),
  ].join('\n');
}
