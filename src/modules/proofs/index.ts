export { proofsModule } from './module.ts';
export { NotGenuine, parseCheckpoint, verifyCheckpoint, verifyReceipt } from './offline.ts';
export { BlockSchema } from './schema.ts';
export {
  makeSigningKeys,
  parsePublicKey,
  readSigningKeys,
} from './signing_keys.ts';
export { type ChainProof, ChainProofSchema, verifyChain } from './verification.ts';
