import { z } from 'zod';
import { idSchema } from '../id.ts';
import { api_options, openApi, openPlatformApi } from './api.ts';
import { command } from './command.ts';

const RevokedSchema = z.looseObject({ id: idSchema('key'), name: z.string(), revoked_at: z.string() });

export const keyRevokeCommand = command({
  name: 'key revoke',
  summary: 'Revokes an API key at once and for ever',
  positionals: ['id'],
  input: z.object({
    id: z
      .string()
      .startsWith('key_', 'an id begins with key_')
      .describe('the id of the key, not the key itself'),
    platform: z.boolean().default(false).describe('it is a key of the platform'),
    ...api_options,
  }),
  run: async ({ input, config, output }) => {
    const api = input.platform ? openPlatformApi(input, config) : openApi(input, config);
    const revoked = await api.post(`/v1/keys/${input.id}/revocation`, undefined, RevokedSchema);
    output.line(`revoked  ${revoked.id} (${revoked.name}) at ${revoked.revoked_at}`);
    output.json(revoked);
    return 0;
  },
});
