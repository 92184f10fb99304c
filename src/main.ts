// The process. What V8 has compiled once is kept, which halves the time to start; hence nothing is imported before that is set up.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { argv, env, exit, stderr, stdout } from 'node:process';

// In the project and not among the temporary files of all users, for it is code. Without the right to write there it is off.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'lattice'));
const { lattice } = await import('./cli/lattice.ts');
// Whoever has read it may go (`| head -1`, a terminal that is closed): what was begun is brought to its end all the same.
for (const stream of [stdout, stderr]) stream.on('error', () => {});
exit(await lattice(argv.slice(2), env));
