// What is written about a request: a latency always, a line when it failed or was slow, every line at `debug`.
import type { Logger } from '../log.ts';
import type { Exchange } from './exchange.ts';
import type { RequestMetrics } from './metrics.ts';

/** slower answers are worth a line */
const slow_ms = 1_000;

const traceparent_form = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/;

/** `error` is what made the answer a 5xx: it is logged here and nowhere else. */
export function recordRequest(
  exchange: Exchange,
  logger: Logger,
  metrics: RequestMetrics,
  error?: unknown,
): void {
  const elapsed_ms = exchange.elapsedMs();
  metrics.observe(exchange.route, exchange.method, exchange.status, elapsed_ms / 1_000);
  if (error !== undefined) {
    logger.error({ ...requestLine(exchange, elapsed_ms), error: errorLine(error) }, 'request failed');
  } else if (elapsed_ms > slow_ms) {
    logger.info(requestLine(exchange, elapsed_ms), 'request was slow');
  } else if (logger.isLevelEnabled('debug')) {
    logger.debug(requestLine(exchange, elapsed_ms), 'request');
  }
}

/** No target and no header: a key that was put in the wrong place would be in them. */
function requestLine(exchange: Exchange, elapsed_ms: number) {
  const { traceparent } = exchange.request.headers;
  return {
    request_id: exchange.request_id,
    method: exchange.method,
    route: exchange.route,
    status: exchange.status,
    elapsed_ms: Math.round(elapsed_ms * 100) / 100,
    tenant_id: exchange.holder?.tenant_id,
    actor_id: exchange.holder?.actor_id,
    ...(typeof traceparent === 'string' && traceparent_form.test(traceparent) ? { traceparent } : {}),
  };
}

/** What helps to find the fault; not the `detail` of a database error, which quotes rows. */
function errorLine(error: unknown) {
  if (!(error instanceof Error)) return { message: String(error) };
  return {
    name: error.name,
    code: 'code' in error ? String(error.code) : undefined,
    message: error.message,
    cause: error.cause instanceof Error ? error.cause.message : undefined,
    stack: error.stack,
  };
}
