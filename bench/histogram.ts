// Latencies in buckets that grow with the value: 64 for each doubling of microseconds, so a percentile is right to 1.6 %.
const buckets_per_doubling = 64;
const doublings = 27;

/** counts by bucket; plain numbers, so that it crosses process borders as JSON */
export type Histogram = number[];

export function newHistogram(): Histogram {
  return new Array<number>(buckets_per_doubling * doublings).fill(0);
}

export function record(histogram: Histogram, microseconds: number): void {
  const bucket = Math.min(bucketOf(microseconds), histogram.length - 1);
  histogram[bucket] = (histogram[bucket] ?? 0) + 1;
}

export function merge(histograms: Histogram[]): Histogram {
  const sum = newHistogram();
  for (const histogram of histograms) {
    for (const [bucket, count] of histogram.entries()) sum[bucket] = (sum[bucket] ?? 0) + count;
  }
  return sum;
}

/** Milliseconds below which `share` (0 to 1) of the values lie; the upper edge of the bucket, so never flattering. */
export function percentile(histogram: Histogram, share: number): number {
  const wanted = histogram.reduce((sum, count) => sum + count, 0) * share;
  let seen = 0;
  for (const [bucket, count] of histogram.entries()) {
    seen += count;
    if (seen >= wanted && seen > 0) return upperEdge(bucket) / 1000;
  }
  throw new Error('a percentile of nothing was asked for');
}

function bucketOf(microseconds: number): number {
  return Math.floor(Math.log2(Math.max(microseconds, 1)) * buckets_per_doubling);
}

function upperEdge(bucket: number): number {
  return 2 ** ((bucket + 1) / buckets_per_doubling);
}
