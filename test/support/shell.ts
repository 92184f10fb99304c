// The process of `commandLines`: runs each command line that it is sent, and ends both streams of each with a NUL.
import { stderr, stdout } from 'node:process';
import { z } from 'zod';
import { lattice } from '../../src/cli/lattice.ts';

const LineSchema = z.object({ words: z.array(z.string()), environment: z.record(z.string(), z.string()) });

process.on('message', async (message) => {
  const { words, environment } = LineSchema.parse(message);
  const status = await lattice(words, environment);
  stdout.write('\0');
  stderr.write('\0');
  process.send?.({ status });
});
