// All tenants, page by page, with a platform key.
import { z } from 'zod';
import type { Api } from './api.ts';

const TenantsSchema = z.object({
  data: z.array(z.looseObject({ id: z.string() })),
  next_cursor: z.string().nullable(),
});

export async function listTenants(api: Api): Promise<string[]> {
  const ids: string[] = [];
  for (let cursor: string | null = null; ; ) {
    const rest: string = cursor === null ? '' : `&cursor=${cursor}`;
    const page: z.infer<typeof TenantsSchema> = await api.get(`/v1/tenants?limit=200${rest}`, TenantsSchema);
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
    if (cursor === null) return ids;
  }
}
