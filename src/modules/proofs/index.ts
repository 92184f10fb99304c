export { proofsModule } from './module.ts';
export { NotGenuine, parseCheckpoint, verifyCheckpoint, verifyReceipt } from './offline.ts';
export { BlockSchema, SigningKeySchema } from './schema.ts';
export {
  makeSigningKeys,
  type PublicKey,
  parsePublicKey,
  parseSigningKeys,
  readSigningKeys,
} from './signing_keys.ts';
export { type ChainProof, ChainProofSchema, type Checkpoint, verifyChain } from './verification.ts';
