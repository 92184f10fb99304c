export { appendEvent } from './events.ts';
export { maybeStoredAnswer, type StoredAnswer, storeAnswer } from './idempotency_keys.ts';
export { logModule } from './module.ts';
export type { AccountPositions } from './routes.ts';
