// Which Lattice the examples talk to, and with which key.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';

const DemoSchema = z.object({ url: z.url(), api_key: z.string() });

/** As asked, else the demo tenant of the last `npm start`. Throws one line. */
export function findTarget(
  url: string | undefined,
  api_key: string | undefined,
): { url: string; api_key: string } {
  if (url !== undefined && !/^https?:\/\//.test(url))
    throw new Error(`--url is http://host:port, not ${url}`);
  if (url !== undefined && api_key !== undefined) return { url, api_key };
  const path = join(process.env.LATTICE_DATA_DIR ?? '.lattice', 'demo.json');
  if (!existsSync(path)) throw new Error(`there is no ${path}: run npm start first, or give --url and --key`);
  const demo = readDemo(path);
  return { url: url ?? demo.url, api_key: api_key ?? demo.api_key };
}

function readDemo(path: string): z.infer<typeof DemoSchema> {
  try {
    return DemoSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (cause) {
    throw new Error(`${path} is damaged: delete it, and the next start writes it anew`, { cause });
  }
}
