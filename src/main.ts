// The process. What V8 has compiled once is kept, which halves the time to start; hence nothing is imported before that is set up.
import { enableCompileCache } from 'node:module';
import { join } from 'node:path';
import { argv, env, exit } from 'node:process';

// In the project and not among the temporary files of all users, for it is code. Without the right to write there it is off.
enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'lattice'));
const { lattice } = await import('./cli/lattice.ts');
exit(await lattice(argv.slice(2), env));
