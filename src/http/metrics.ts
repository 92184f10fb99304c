// Latency of requests by route template, method and status. Labels are bounded: what no route matches is one label.
import { Histogram, type Registry } from 'prom-client';

const bounds_seconds = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

export class RequestMetrics {
  readonly #seconds: Histogram<'route' | 'method' | 'status'>;
  /** observers per label set: to find one costs less than to label each observation */
  readonly #observers = new Map<string, Map<number, (seconds: number) => void>>();

  constructor(registry: Registry) {
    this.#seconds = new Histogram({
      name: 'lattice_http_request_seconds',
      help: 'Time from the head of a request to its answer',
      labelNames: ['route', 'method', 'status'],
      buckets: bounds_seconds,
      registers: [registry],
    });
  }

  observe(route: string, method: string, status: number, seconds: number): void {
    const name = method + route;
    let by_status = this.#observers.get(name);
    if (by_status === undefined) {
      by_status = new Map();
      this.#observers.set(name, by_status);
    }
    let observe = by_status.get(status);
    if (observe === undefined) {
      const observer = this.#seconds.labels({ route, method, status });
      observe = (value) => observer.observe(value);
      by_status.set(status, observe);
    }
    observe(seconds);
  }
}
