export { ledgerModule } from './module.ts';
