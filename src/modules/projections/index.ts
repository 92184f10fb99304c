export { projectionsModule } from './module.ts';
export { recounted_tables, recountOthers } from './recounts.ts';
