export { projectionsModule } from './module.ts';
