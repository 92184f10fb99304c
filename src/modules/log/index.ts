export {
  ConsumerListSchema,
  ResumedSchema,
  ResumptionSchema,
} from './consumer_routes.ts';
export {
  consumerPosition,
  listConsumers,
  maybeResumeConsumer,
  statementConsumer,
  transactionConsumer,
} from './consumers.ts';
export {
  appendEvent,
  type EventRow,
  headPosition,
  renderEvent,
  renderSubject,
  type SubjectKinds,
  subjectKinds,
} from './events.ts';
export { no_filter } from './filter.ts';
export type { OwnEvent, TouchedAccount } from './frame.ts';
export { maybeStoredAnswer, type StoredAnswer, storeAnswer } from './idempotency_keys.ts';
export type { ListTenants } from './known_tenants.ts';
export { logModule } from './module.ts';
export { partitions_ahead_min, partitionsAhead } from './partitions.ts';
export { recordedBy } from './recorded.ts';
export { Streams } from './streams.ts';
export type { TopicSource } from './topics.ts';
