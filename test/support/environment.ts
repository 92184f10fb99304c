// What a process that a test starts inherits: where programs are, and what V8 has compiled of ours already. Nothing else of our own
// environment reaches it.
const { PATH = '', NODE_COMPILE_CACHE = '' } = process.env;

export const inherited_environment = { PATH, NODE_COMPILE_CACHE };
