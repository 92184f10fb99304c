export { appendEvent } from './events.ts';
