export { authenticate, forgetKey, type Holder } from './authentication.ts';
export { createKey, findKey } from './keys.ts';
export type { Key, RoleName } from './schema.ts';
