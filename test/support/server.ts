// The product as a server in this process: all of it but the process, on a free port and this file's database.
import { join } from 'node:path';
import { inject } from 'vitest';
import { openServer } from '../../src/cli/server.ts';
import { readConfig } from '../../src/config.ts';
import type { Database } from '../../src/db.ts';
import { createLogger } from '../../src/log.ts';
import { Client } from './client.ts';
import { atEnd, databaseUrl } from './database.ts';

export interface TestServer {
  url: string;
  /** the server's own, as its modules have it */
  database: Database;
  /** a client with a key, or without */
  client: (api_key: string | null) => Client;
  close: () => Promise<void>;
}

/** Made by the first server of the run; a fresh cluster has fresh keys. */
export const signing_keys_path = join(inject('cluster_directory'), 'signing_keys.pem');

/** The environment of every server of a test, in this process or in another. */
export function serverEnvironment(): Record<string, string> & { DATABASE_URL: string } {
  return {
    NODE_ENV: 'test',
    HOST: '127.0.0.1',
    PORT: '0',
    LOG_LEVEL: 'warn',
    DATABASE_URL: databaseUrl('lattice_app'),
    DATABASE_OWNER_URL: databaseUrl('lattice_owner'),
    RATE_LIMIT_PER_SECOND: '0',
    FAILED_LOGINS_PER_MINUTE: '0',
    LATTICE_SIGNING_KEYS: signing_keys_path,
    WEBHOOK_SECRET_KEY: Buffer.alloc(32, 'test').toString('base64'),
    OUTBOUND_ALLOW: '127.0.0.1:*',
    // What a test looks at does not change by itself; tests of jobs turn them on.
    JOBS: 'off',
  };
}

/** Closes by itself when the file is done. */
export async function startServer(environment: Record<string, string> = {}): Promise<TestServer> {
  const given = { ...serverEnvironment(), ...environment };
  const config = readConfig(given);
  const server = await openServer(config, given.DATABASE_URL, createLogger(config.LOG_LEVEL));
  const url = await server.listen(config.HOST, config.PORT);
  let closing: Promise<void> | null = null;
  const close = () => {
    closing ??= server.close();
    return closing;
  };
  atEnd(close);
  return { url, database: server.database, client: (api_key) => new Client(url, api_key), close };
}
