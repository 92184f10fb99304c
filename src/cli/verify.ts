import { z } from 'zod';
import type { Config } from '../config.ts';
import { type Actor, Database, platform_tenant_id, systemActor } from '../db.ts';
import { encodeId } from '../id.ts';
import { createLogger } from '../log.ts';
import { type Proof, proveTenant, readTrustedKeys } from '../modules/proofs/index.ts';
import { findTenant, listTenants } from '../modules/tenants/index.ts';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { checkpointLine, compareCheckpoint, readCheckpoint } from './chain.ts';
import { command, UsageError } from './command.ts';
import { readNamed } from './named_file.ts';
import type { Output } from './output.ts';
import { checkSchema, withPostgres } from './postgres.ts';
import { proofLines, readProof } from './proof.ts';

const page_size = 200;

type TenantRow = Awaited<ReturnType<typeof listTenants>>[number];

export const verifyCommand = command({
  name: 'verify',
  summary:
    'Recounts everything from entries, hashes what is sealed, and prints the proof: of your tenant, of the platform, or of all by whoever has the database',
  input: z.object({
    all: z
      .boolean()
      .default(false)
      .describe(
        "every tenant and the platform's own log, in the database of DATABASE_URL or of the data directory",
      ),
    platform: z.boolean().default(false).describe("the platform's own log, with a platform key"),
    checkpoint: z
      .string()
      .optional()
      .describe(
        'a file with a checkpoint exported earlier (GET /v1/checkpoint), which must still be in the chain',
      ),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    if (input.all) {
      if (input.checkpoint !== undefined)
        throw new UsageError('a checkpoint is of one tenant: leave out --all');
      if (input.platform) throw new UsageError('the platform is among --all: leave out --platform');
      return verifyAll(config, output);
    }
    const text = input.checkpoint === undefined ? null : readNamed(input.checkpoint);
    const api = input.platform ? openPlatformApi(input, config) : openApi(input, config);
    const kept = text === null ? null : await readCheckpoint(api, text);
    const found = await readProof(api);
    const compared =
      kept === null
        ? { chain: found.chain, checkpoint: null }
        : await compareCheckpoint(api, found.chain, kept);
    const proof = { ...found, ...compared, ok: found.ok && compared.chain.ok };
    for (const line of proofLines(proof)) output.line(line);
    if (proof.checkpoint !== null) output.line(checkpointLine(proof.checkpoint));
    output.json(proof);
    return proof.ok ? 0 : 1;
  },
});

/** Each tenant by the verb behind GET /v1/proof, so what differs halts that tenant's postings here too. */
function verifyAll(config: Config, output: Output): Promise<number> {
  const logger = createLogger('fatal');
  const keys = readTrustedKeys(config);
  return withPostgres(config, logger, async ({ app_url }) => {
    await checkSchema(app_url);
    const database = new Database({
      connection_string: app_url,
      size: 2,
      application_name: 'lattice verify',
      logger,
    });
    const platform = systemActor(platform_tenant_id);
    const proofs: (Proof & { tenant_id: string })[] = [];
    try {
      for await (const { id, slug } of allTenants(database, platform)) {
        const proof = await proveTenant(database, logger, keys, { ...platform, tenant_id: id });
        proofs.push({ tenant_id: encodeId('tenant', id), ...proof });
        output.line(`${slug} (${encodeId('tenant', id)})`);
        for (const line of proofLines(proof)) output.line(line);
      }
    } finally {
      await database.end();
    }
    const failed = proofs.filter(({ ok }) => !ok).length;
    output.line(
      failed === 0
        ? `${proofs.length} tenants: nothing differs`
        : `${failed} of ${proofs.length} tenants FAIL`,
    );
    output.json({ ok: failed === 0, tenants: proofs });
    return failed === 0 ? 0 : 1;
  });
}

/** The platform's own first. */
async function* allTenants(database: Database, platform: Actor): AsyncIterable<TenantRow> {
  yield await database.read(platform, (tx) => findTenant(tx, platform.tenant_id));
  let after: string | null = null;
  for (;;) {
    const page = { row_limit: page_size, after, status: null };
    const rows: TenantRow[] = await database.read(platform, (tx) => listTenants(tx, page));
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < page_size) return;
    after = last.id;
  }
}
