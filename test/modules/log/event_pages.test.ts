// Pages of the log are bytes: whatever the sizes of events, one page holds about as much as another, and all of them hold everything.
import { expect, test } from 'vitest';
import { z } from 'zod';
import { createLogger } from '../../../src/log.ts';
import { EventPages } from '../../../src/modules/log/event_pages.ts';
import { type Filter, no_filter } from '../../../src/modules/log/filter.ts';
import { page_bytes } from '../../../src/modules/log/page_size.ts';
import { asSuperuser, database } from '../../support/database.ts';
import { aTenant, type TestTenant } from '../../support/factories.ts';

const small_count = 2_500;
const large_count = 120;
const large_bytes = 60_000;

/** So many small ones that pages have grown, and then large ones. */
async function aLog(): Promise<TestTenant> {
  const tenant = await aTenant();
  await asSuperuser(
    z.unknown(),
    `select max(appended.position)
     from generate_series(1, $2::integer + $3::integer) number, log.append_event(
       $1, gen_random_uuid(), 'log.consumer_resumed', $1,
       json_build_object('consumer', case when number > $2 then repeat('x', $4) else 'small' end), $1, 'req', null
     ) appended`,
    [tenant.id, small_count, large_count, large_bytes],
  );
  return tenant;
}

test.each<[string, (tenant: TestTenant) => Filter]>([
  ['of the log', () => no_filter],
  ['of a type', () => ({ ...no_filter, types: new Set(['log.consumer_resumed']) })],
  ['of a subject', ({ id }) => ({ ...no_filter, subject_id: id })],
  ['of an account', () => ({ ...no_filter, accounts: new Set(['acc_x']) })],
])(
  'pages %s have no more bytes when large events follow small ones, and miss none',
  async (_of, filterOf) => {
    const tenant = await aLog();
    const [head] = await asSuperuser(
      z.object({ position: z.string() }),
      'select max(position) as position from log.event where tenant_id = $1',
      [tenant.id],
    );
    const up_to = Number(head?.position);
    const pages = new EventPages({
      database,
      logger: createLogger('silent'),
      maker: {
        subjectOf: () => 'tenant',
        touchedAccounts: () => [{ account_id: 'acc_x', code: 'x' }],
      },
      accountPositions: async (_tx, _account, { after, row_limit }) => ({
        account_id: tenant.id,
        positions: Array.from(
          { length: Math.min(row_limit, up_to - after) },
          (_, index) => after + 1 + index,
        ),
      }),
    });
    const lease = await pages.lease();
    const seen: number[] = [];
    const sizes: number[] = [];
    for (let after = 0; after < up_to; ) {
      const page = await lease.read({ tenant_id: tenant.id, filter: filterOf(tenant), after, up_to });
      expect(page.position).toBeGreaterThan(after);
      seen.push(
        ...page.frames.filter(({ type }) => type === 'log.consumer_resumed').map(({ position }) => position),
      );
      sizes.push(page.frames.reduce((sum, { bytes }) => sum + bytes.length, 0));
      after = page.position;
    }
    lease.release();
    expect(seen).toEqual(
      Array.from(
        { length: small_count + large_count },
        (_, index) => up_to - small_count - large_count + 1 + index,
      ),
    );
    expect(Math.max(...sizes)).toBeLessThan(4 * page_bytes);
  },
);
