// Writes what is generated and committed: sql/schema.sql from a freshly migrated database, openapi/openapi.json from the routes.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import pg from 'pg';
import { startCluster } from '../test/support/cluster.ts';
import { createTemplate, template_database } from '../test/support/template.ts';
import { dumpSchema } from './dump.ts';
import { openApiText } from './openapi.ts';

const root = join(import.meta.dirname, '..');

const cluster = await startCluster({ durable: false });
await createTemplate(cluster);
const client = new pg.Client({ connectionString: cluster.url('postgres', template_database) });
await client.connect();
writeFileSync(join(root, 'sql', 'schema.sql'), await dumpSchema(client));
await client.end();
await cluster.stop();

writeFileSync(join(root, 'openapi', 'openapi.json'), openApiText());
