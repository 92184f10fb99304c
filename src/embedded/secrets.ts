// The passwords of a cluster, kept in the data directory for its owner only, and the connection strings made of them.
import { randomBytes } from 'node:crypto';
import { existsSync, linkSync, readFileSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Postmaster } from './postmaster.ts';

export const database = 'lattice';

const SecretsSchema = z.object({
  admin_password: z.string(),
  owner_password: z.string(),
  app_password: z.string(),
  read_password: z.string(),
});
export type Secrets = z.infer<typeof SecretsSchema>;

/** Through the Unix socket, which costs less than the loopback. */
export function urls(running: Postmaster, secrets: Secrets): { app_url: string; owner_url: string } {
  const socket = encodeURIComponent(running.socket_directory);
  const url = (role: string, password: string) =>
    `postgres://${role}:${password}@localhost:${running.port}/${database}?host=${socket}`;
  return {
    app_url: url('lattice_app', secrets.app_password),
    owner_url: url('lattice_owner', secrets.owner_password),
  };
}

/** Made when there is no cluster yet; with one, they must be there. */
export function readSecrets(directory: string, has_cluster: boolean): Secrets {
  const path = join(directory, 'postgres.json');
  if (!existsSync(path)) {
    if (has_cluster) {
      throw new Error(
        `${join(directory, 'postgres')} is a database whose passwords are lost: restore ${path}, or move the database away to begin anew`,
      );
    }
    makeSecrets(path);
  }
  const text = readFileSync(path, 'utf8');
  try {
    return SecretsSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new Error(
      `${path} is damaged: restore it, or move it and ${join(directory, 'postgres')} away to begin anew`,
      { cause },
    );
  }
}

/** Whole or not at all, and of two processes that do it at once the first one's stay. */
function makeSecrets(path: string): void {
  const password = () => randomBytes(24).toString('base64url');
  const secrets: Secrets = {
    admin_password: password(),
    owner_password: password(),
    app_password: password(),
    read_password: password(),
  };
  const unfinished = `${path}.${password()}`;
  writeFileSync(unfinished, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx' });
  try {
    linkSync(unfinished, path);
  } catch (error) {
    if (!existsSync(path)) throw error;
  } finally {
    unlinkSync(unfinished);
  }
}
