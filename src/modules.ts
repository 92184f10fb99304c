// The modules in their order: each may import only those above it, through their index.ts.
import type { Context, Module } from './module.ts';

export function createModules(_context: Context): Module[] {
  return [];
}
