// Tenants and their assets: rows, wire form and types in one.
import { z } from 'zod';
import { idSchema } from '../../id.ts';

export const ModeSchema = z
  .enum(['live', 'test'])
  .meta({ description: 'Whether the money is real. Keys begin with `lk_live_` or `lk_test_` accordingly' });

export const TemplateNameSchema = z
  .enum(['lending', 'bnpl', 'psp', 'wallets', 'blank'])
  .meta({ description: 'The chart of accounts that the tenant starts with' });

export const SlugSchema = z
  .string()
  .regex(/^[a-z0-9](?:-?[a-z0-9]){1,62}$/, 'a slug is 2 to 63 lowercase letters, digits and single hyphens')
  .max(63)
  .meta({ description: 'Names the tenant for people, unique on the platform', example: 'acme-pay' });

/** Postgres cannot keep NUL, and half of a surrogate pair is not UTF-8. */
export const NameSchema = z
  .string()
  .min(1)
  .max(200)
  .refine((name) => name.isWellFormed() && !/\p{Cc}/u.test(name), 'a name has no control characters')
  .meta({ description: '1 to 200 characters, no control characters' });

export const CurrencySchema = z
  .string()
  .regex(/^[A-Z][A-Z0-9]{2,11}$/, 'a currency is 3 to 12 capital letters and digits, a letter first')
  .meta({ description: 'ISO 4217 code, or an asset that the tenant has registered', example: 'EUR' });

export const TenantSchema = z
  .object({
    id: idSchema('tenant'),
    slug: z.string(),
    name: z.string(),
    mode: ModeSchema,
    status: z.enum(['opening', 'active', 'suspended']).meta({
      description:
        '`opening` until its books and first key exist, which repeating its creation makes sure of',
    }),
    template: TemplateNameSchema,
    currency: z.string(),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'Tenant', description: 'A company whose books Lattice keeps, apart from all others' });

export const AssetSchema = z
  .object({
    currency: z.string(),
    scale: z.number().int(),
    name: z.string(),
    created_at: z.string(),
  })
  .meta({
    id: 'Asset',
    description: 'A unit of account that ISO 4217 does not know: points, tokens, fund units',
  });

export const NewAssetSchema = z.strictObject({
  currency: CurrencySchema.meta({ description: 'Not a code of ISO 4217', example: 'POINTS' }),
  scale: z.int().min(0).max(18).meta({ description: 'Decimals of the minor unit, 0 to 18' }),
  name: NameSchema,
});

export type NewAsset = z.infer<typeof NewAssetSchema>;
export type Tenant = z.infer<typeof TenantSchema>;
export type Asset = z.infer<typeof AssetSchema>;
export type Mode = z.infer<typeof ModeSchema>;
export type TemplateName = z.infer<typeof TemplateNameSchema>;
