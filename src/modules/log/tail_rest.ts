// How long a tail rests between two reads: the longer, the less time the process has to spare. What is written to a client finds little of its socket
// in the processor's caches, so many clients at once cost posting less than a few now and then.
import { type EventLoopUtilization, performance } from 'node:perf_hooks';

/** With the most a dashboard still moves within a tenth of a second. */
const rest_ms = { least: 10, most: 80 };
/** of the time, in which the process was at work: up to the first part it rests least, from the second on it rests most */
const work = { little: 0.7, much: 0.9 };

export class TailRest {
  #loop: EventLoopUtilization = performance.eventLoopUtilization();
  #ms = rest_ms.least;

  get ms(): number {
    return this.#ms;
  }

  /** From the time since this was called last. */
  learn(): void {
    const now = performance.eventLoopUtilization();
    const { utilization } = performance.eventLoopUtilization(now, this.#loop);
    this.#loop = now;
    const part = (utilization - work.little) / (work.much - work.little);
    this.#ms = rest_ms.least + Math.min(1, Math.max(0, part)) * (rest_ms.most - rest_ms.least);
  }
}
