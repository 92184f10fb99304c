export { newApiKey } from './api_key.ts';
export { authenticate, forgetKey, type Holder } from './authentication.ts';
export {
  addKey,
  createKey,
  createPlatformKey,
  findKey,
  listKeys,
  renderKey,
  revokeKey,
  rotateKey,
} from './keys.ts';
export { accessModule } from './module.ts';
export { CreatedKeySchema, type Key, type RoleName } from './schema.ts';
export { openAnswer, redactedAnswer, sealAnswer } from './sealing.ts';
