// What a workload is, and what most of them begin and end with.
import { type Measurement, runLoad, type Settings } from './measure.ts';
import { note } from './notes.ts';
import { prove } from './proof.ts';
import type { TenantTraffic } from './protocol.ts';
import { cpuLine, type Row } from './report.ts';
import { Stack, type Tenant } from './stack.ts';

export interface Bench extends Settings {
  /** entries that single-at-20m finds there already */
  entries: number;
}

export interface Workload {
  name: string;
  description: string;
  unit: string;
  run: (bench: Bench) => Promise<Row[]>;
}

/** A stack for the length of `work`; what was posted in it is proved before it goes. `environment` is that of its process. */
export async function withStack<Done>(
  work: (stack: Stack, open: (slug: string, accounts: number) => Promise<OpenTenant>) => Promise<Done>,
  environment: Record<string, string> = {},
): Promise<Done> {
  const stack = await Stack.start(undefined, environment);
  const tenants: Tenant[] = [];
  try {
    note(await stack.describePostgres());
    const done = await work(stack, async (slug, accounts) => {
      const opened = await openTenant(stack, slug, accounts);
      tenants.push(opened.tenant);
      return opened;
    });
    await prove(stack, tenants);
    return done;
  } finally {
    await stack.stop();
  }
}

export interface OpenTenant {
  tenant: Tenant;
  traffic: TenantTraffic;
}

/** A tenant with its accounts, every second of them limited, and a limited hot one. */
export async function openTenant(stack: Stack, slug: string, accounts: number): Promise<OpenTenant> {
  const tenant = await stack.createTenant(slug);
  const traffic = { api_key: tenant.api_key, accounts };
  await runLoad(
    stack,
    [tenant],
    { kind: 'accounts', tenants: [traffic] },
    { connections: 16, warmup_seconds: 0, seconds: 0 },
  );
  return { tenant, traffic };
}

/** One round of single posts, spread over the tenants. */
export async function postSingly(
  bench: Bench,
  stack: Stack,
  opened: OpenTenant[],
  hot = false,
): Promise<Measurement> {
  const measurement = await runLoad(
    stack,
    opened.map(({ tenant }) => tenant),
    { kind: 'single', tenants: opened.map(({ traffic }) => traffic), hot },
    bench,
  );
  note(cpuLine([measurement]));
  return measurement;
}
