export { proofsModule } from './module.ts';
export { NotGenuine, parseCheckpoint, verifyCheckpoint, verifyReceipt } from './offline.ts';
export { type Proof, ProofSchema, proveTenant } from './proof.ts';
export { BlockSchema } from './schema.ts';
export {
  makeSigningKeys,
  maybeSigningKeys,
  parsePublicKeys,
  readSigningKeys,
  readTrustedKeys,
  signingKeysRefusal,
} from './signing_keys.ts';
export type { ChainProof } from './verification.ts';
