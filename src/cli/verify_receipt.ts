import { existsSync } from 'node:fs';
import { z } from 'zod';
import { NotGenuine, parsePublicKeys, verifyReceipt } from '../modules/proofs/index.ts';
import { command } from './command.ts';
import { readNamed } from './named_file.ts';

export const verifyReceiptCommand = command({
  name: 'verify-receipt',
  summary: 'Checks a receipt of a transaction, without a database or a network',
  positionals: ['file'],
  input: z.object({
    file: z.string().describe('the receipt, byte for byte as it was issued'),
    public_key: z
      .string()
      .describe(
        'the key that you trust, 32 bytes in Base64, or a PEM file of all that you trust; not taken from the receipt',
      ),
    tenant: z.string().startsWith('ten_').optional().describe('whose receipt it must be'),
  }),
  run: async ({ input, output }) => {
    const { file, public_key, tenant = null } = input;
    const trusted = parsePublicKeys(existsSync(public_key) ? readNamed(public_key) : public_key);
    const text = readNamed(file);
    try {
      const { event, entries, block } = verifyReceipt(text, trusted, tenant);
      output.line(`genuine  ${event.subject} of ${block.tenant_id}, recorded at ${event.recorded_at}`);
      output.line(`         position ${event.position} in block ${block.number}, ${entries.length} entries`);
      output.json({ ok: true, transaction: event.subject, tenant_id: block.tenant_id, block: block.number });
      return 0;
    } catch (error) {
      if (!(error instanceof NotGenuine)) throw error;
      output.line(`NOT GENUINE  ${error.message}`);
      output.json({ ok: false, reason: error.message });
      return 1;
    }
  },
});
