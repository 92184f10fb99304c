// The OpenAPI document as it is committed. Nothing is connected to: the routes are data.
import { Registry } from 'prom-client';
import { readConfig } from '../src/config.ts';
import { Database } from '../src/db.ts';
import { createOpenApiDocument } from '../src/http/openapi.ts';
import { createLogger } from '../src/log.ts';
import type { Module } from '../src/module.ts';
import { createModules } from '../src/modules.ts';

/** The modules of a process that is not started. */
export function createUnstartedModules(): Module[] {
  const logger = createLogger('silent');
  return createModules({
    config: readConfig({}),
    database: new Database({
      connection_string: 'postgres://nowhere.invalid/none',
      size: 2,
      application_name: 'lattice generate',
      logger,
    }),
    logger,
    metrics: new Registry(),
    draining: new AbortController().signal,
  });
}

export function openApiText(): string {
  return `${JSON.stringify(createOpenApiDocument(createUnstartedModules()), null, 2)}\n`;
}
