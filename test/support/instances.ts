// Loaded first into each process that runs test files, of which there are many in a process. They share `src` and the packages, which keep
// nothing between them, while of what is below `test` each file has instances of its own, as in a process of its own: its database,
// its endings, its dice.
import { registerHooks } from 'node:module';

const tests = new URL('..', import.meta.url).href;
/** Keeps what it has compiled of a document, and that takes longer than many a file. */
const contract = new URL('contract.ts', import.meta.url).href;

registerHooks({
  resolve(specifier, context, nextResolve) {
    const resolved = nextResolve(specifier, context);
    const { parentURL = '' } = context;
    if (!parentURL.startsWith(tests) || !resolved.url.startsWith(tests) || resolved.url === contract)
      return resolved;
    const parent = new URL(parentURL);
    // The same in each run, which the query that Vitest gives a test file is not: what V8 compiles is kept by its URL.
    const file = parent.searchParams.get('file') ?? parent.pathname.slice(new URL(tests).pathname.length);
    return { ...resolved, url: `${resolved.url}?file=${file}` };
  },
});
