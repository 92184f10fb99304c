// Accounts on the wire.
import { z } from 'zod';
import { idSchema } from '../../id.ts';
import { InstantSchema } from '../../instant.ts';
import { SignedAmountSchema } from '../../money.ts';
import { AccountReferenceSchema, MetadataSchema } from './transaction_schema.ts';

/** What reads as an id is never a code, so that an account has one meaning wherever it is named. */
const reads_as_id = /^([a-z]{3}_[0-9a-hjkmnp-tv-z]{26}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

const code_pattern = /^[A-Za-z0-9_.-]+(:[A-Za-z0-9_.-]+)*$/;

/** Whether an account could have this code at all. */
export function isCode(text: string): boolean {
  return text.length <= 255 && code_pattern.test(text);
}

const AccountCodeSchema = z
  .string()
  .max(255)
  .regex(code_pattern, 'a code is segments of letters, digits, `_`, `-` and `.`, joined by `:`')
  .refine((code) => !reads_as_id.test(code), 'a code does not look like an id')
  // Clients take them out of `/v1/accounts/../closure` (RFC 3986, 5.2.4), and ask for something else.
  .refine((code) => code !== '.' && code !== '..', 'a code is not `.` or `..`, which no path can name')
  .meta({
    description:
      'Segments joined by `:`, up to 255 characters, unique in the tenant, not `.` or `..`. Never changes',
    example: 'customers:alice',
  });

/** no more than the characters that a code may have */
export const CodePrefixSchema = z
  .string()
  .regex(/^[A-Za-z0-9_.:-]{1,255}$/, 'a prefix of codes')
  .meta({ description: 'Only accounts whose codes begin with this', example: 'customers:' });

export const AccountTypeSchema = z
  .enum(['asset', 'liability', 'equity', 'revenue', 'expense'])
  .meta({ description: 'Decides the normal side: debit for asset and expense, credit for the others' });

export const AccountStatusSchema = z
  .enum(['open', 'closed'])
  .meta({ description: 'A closed account refuses new postings, holds and captures' });

const NameSchema = z
  .string()
  .min(1)
  .max(200)
  .meta({ description: 'For people, 1 to 200 characters', example: 'Alice' });

const available_min = SignedAmountSchema.meta({
  description: 'What is posted less what is held out may not fall below this; `"0"` means zero',
  example: '-500',
});
const posted_max = SignedAmountSchema.meta({
  description: 'What is posted may not pass this; `"0"` means zero',
  example: '100000',
});

const LimitsSchema = z
  .strictObject({ available_min: available_min.optional(), posted_max: posted_max.optional() })
  .meta({
    id: 'Limits',
    description: "Minor units in the account's normal direction; an absent limit is none",
  });

export const AccountRequestSchema = z
  .strictObject({
    code: AccountCodeSchema,
    name: NameSchema.nullish(),
    type: AccountTypeSchema,
    currency: z
      .string()
      .regex(/^[A-Z0-9]{3,12}$/, 'a currency is 3 to 12 capital letters and digits')
      .meta({ description: 'ISO 4217 code, or an asset that the tenant has registered', example: 'EUR' }),
    limits: LimitsSchema.optional(),
    metadata: MetadataSchema.optional(),
  })
  .meta({ id: 'AccountRequest' });
export type AccountRequest = z.infer<typeof AccountRequestSchema>;

export const AccountPatchSchema = z
  .strictObject({
    name: NameSchema.nullable().optional(),
    limits: z
      .strictObject({
        available_min: available_min.nullable().optional(),
        posted_max: posted_max.nullable().optional(),
      })
      .optional(),
    metadata: z
      .record(z.string().min(1).max(64), z.string().max(500).nullable())
      .optional()
      .meta({ description: 'Pairs to set; `null` removes a key; keys that are not named stay' }),
  })
  .meta({
    id: 'AccountPatch',
    description: 'A JSON Merge Patch (RFC 7396): what is absent stays, `null` removes',
  });
export type AccountPatch = z.infer<typeof AccountPatchSchema>;

export const AccountSchema = z
  .object({
    id: idSchema('account'),
    code: z.string().meta({ example: 'customers:alice' }),
    name: z.string().nullable(),
    type: AccountTypeSchema,
    normal_side: z.enum(['debit', 'credit']).meta({ description: 'The side on which the account grows' }),
    currency: z.string().meta({ example: 'EUR' }),
    scale: z.int().min(0).max(18).meta({ description: 'Decimals of the minor unit', example: 2 }),
    limits: z.object({ available_min: available_min.optional(), posted_max: posted_max.optional() }),
    status: AccountStatusSchema,
    metadata: z.record(z.string(), z.string()),
    created_at: InstantSchema,
  })
  .meta({ id: 'Account' });
export type Account = z.infer<typeof AccountSchema>;

export const AccountParamsSchema = z.strictObject({ account: AccountReferenceSchema });
