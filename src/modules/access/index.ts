export { newApiKey } from './api_key.ts';
export { authenticate, forgetKey, type Holder } from './authentication.ts';
export { addKey, createKey, revokeKey } from './keys.ts';
export { accessModule } from './module.ts';
export { CreatedKeySchema, type RoleName } from './schema.ts';
export { openAnswer, redactedAnswer, sealAnswer } from './sealing.ts';
export { findTicket, takeTicket } from './stream_tickets.ts';
