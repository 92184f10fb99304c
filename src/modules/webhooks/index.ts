export type { Call, Called, Caller, CallFault, UrlRefusal } from './calls.ts';
export { webhooksModule } from './module.ts';
