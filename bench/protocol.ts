// What the bench and the processes it starts say to each other.
import { z } from 'zod';

const TenantTrafficSchema = z.object({
  api_key: z.string(),
  /** how many of its accounts take part: `accounts:00000`, `accounts:00001` … */
  accounts: z.int(),
});

const TrafficSchema = z.discriminatedUnion('kind', [
  /** opens the accounts of each tenant and its hot account */
  z.object({ kind: z.literal('accounts'), tenants: z.array(TenantTrafficSchema) }),
  /** one transaction a request */
  z.object({ kind: z.literal('single'), tenants: z.array(TenantTrafficSchema), hot: z.boolean() }),
  /** many uniform transactions a request */
  z.object({ kind: z.literal('bulk'), tenant: TenantTrafficSchema, transactions: z.int() }),
  /** many transactions a request, all on the hot account, half of them effective on one of the `days` before */
  z.object({
    kind: z.literal('history'),
    tenant: TenantTrafficSchema,
    transactions: z.int(),
    days: z.int(),
  }),
  /** plain reads */
  z.object({ kind: z.literal('targets'), api_key: z.string(), targets: z.array(z.string()) }),
]);

export type Traffic = z.infer<typeof TrafficSchema>;
export type TenantTraffic = z.infer<typeof TenantTrafficSchema>;

export const LoadSpecSchema = z.object({
  port: z.int(),
  connections: z.int(),
  /** sent before the clock starts, and checked like the rest */
  warmup_seconds: z.number(),
  seconds: z.number(),
  /** stop after so many requests, whatever the clock says; null means the clock decides */
  requests: z.int().nullable(),
  /** requests in a second over all connections; null means as fast as they are answered */
  rate: z.number().nullable(),
  traffic: TrafficSchema,
  /** where the ids of acknowledged transactions go, 26 letters each without separator */
  ids_file: z.string(),
});

export type LoadSpec = z.infer<typeof LoadSpecSchema>;

export const ReferenceSpecSchema = z.object({
  connection_string: z.string(),
  connections: z.int(),
  accounts: z.int(),
  warmup_seconds: z.number(),
  seconds: z.number(),
});

export type ReferenceSpec = z.infer<typeof ReferenceSpecSchema>;

/** The clock started, the clock stopped, and what was counted in between. */
export const ReportSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('measuring') }),
  z.object({ kind: z.literal('measured') }),
  z.object({
    kind: z.literal('result'),
    /** answered while the clock ran */
    requests: z.int(),
    transactions: z.int(),
    seconds: z.number(),
    /** acknowledged from the first request to the last, the warm-up included */
    acknowledged: z.int(),
    errors: z.int(),
    /** the first few errors, in words */
    problems: z.array(z.string()),
    /** microseconds, see histogram.ts */
    histogram: z.array(z.int()),
  }),
]);

export type Report = z.infer<typeof ReportSchema>;
export type Result = Extract<Report, { kind: 'result' }>;

export const StreamSpecSchema = z.object({
  port: z.int(),
  streams: z.array(z.object({ api_key: z.string(), target: z.string(), count: z.int() })),
  /** every event is to come: their positions are without gaps */
  is_dense: z.boolean(),
  /** over when a stream has come to this position; null means when it is told */
  until_position: z.int().nullable(),
});

export type StreamSpec = z.infer<typeof StreamSpecSchema>;

/** All streams are open; and in the end what came over them. */
export const StreamReportSchema = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('opened') }),
  z.object({
    kind: z.literal('result'),
    events: z.int(),
    bytes: z.int(),
    /** from the beginning of the measurement until the last event */
    seconds: z.number(),
    errors: z.int(),
    problems: z.array(z.string()),
    /** microseconds from the instant at which an event was recorded until a client has it */
    histogram: z.array(z.int()),
  }),
]);

export type StreamReport = z.infer<typeof StreamReportSchema>;
export type StreamResult = Extract<StreamReport, { kind: 'result' }>;
