// When a schedule comes round: five fields by the clock on the wall of a time zone. What the fields mean is graphile-worker's reading of
// them; by which clock, and when next, is ours.
import { parseCronItem } from 'graphile-worker';

const minute_ms = 60_000;
const day_ms = 24 * 60 * minute_ms;
/** By no more does a clock change. */
const change_ms = 3 * 60 * minute_ms;
/** Zones differ from UTC by whole quarters of an hour, and change at one. */
const quarter_ms = 15 * minute_ms;
/** Until the next 29 February, whatever the year. */
const furthest_ms = 8 * 366 * day_ms;

/** Why a cron text cannot be used, or null. */
export function cronFault(cron: string): string | null {
  try {
    matchersOf(cron);
  } catch (error) {
    return error instanceof Error ? error.message.replaceAll(/\s+in .*$/g, '') : String(error);
  }
  return maybeNext(cron, 'UTC', new Date()) === null ? 'it never comes round' : null;
}

export function isTimeZone(name: string): boolean {
  try {
    clockOf(name);
    return true;
  } catch {
    // The only way to ask.
    return false;
  }
}

/**
 * The first minute after an instant at which a schedule comes round; null when it never does. Where the clock is put forward, what falls
 * into the hour that is missing comes at the change; where it is put back, the hour comes twice.
 */
export function maybeNext(cron: string, time_zone: string, after: Date): Date | null {
  const { isDay, isTime } = matchersOf(cron);
  const matches = (wall_ms: number) => isDay(wall_ms) && isTime(wall_ms);
  const clock = clockOf(time_zone);
  const first_ms = (Math.floor(after.getTime() / minute_ms) + 1) * minute_ms;
  let at_ms = first_ms;
  let wall_ms = clock(at_ms);
  while (at_ms < first_ms + furthest_ms) {
    const skipped_ms = untilDay(isDay, wall_ms);
    if (skipped_ms === null) return null;
    if (skipped_ms > 0) {
      at_ms = Math.floor((at_ms + skipped_ms) / quarter_ms) * quarter_ms;
      wall_ms = clock(at_ms);
    }
    const end_ms = (Math.floor(at_ms / quarter_ms) + 1) * quarter_ms;
    for (let ahead_ms = 0; at_ms + ahead_ms < end_ms; ahead_ms += minute_ms) {
      if (matches(wall_ms + ahead_ms)) return new Date(at_ms + ahead_ms);
    }
    const expected_ms = wall_ms + (end_ms - at_ms);
    const next_wall_ms = clock(end_ms);
    for (let missing_ms = expected_ms; missing_ms < next_wall_ms; missing_ms += minute_ms) {
      if (matches(missing_ms)) return new Date(end_ms);
    }
    at_ms = end_ms;
    wall_ms = next_wall_ms;
  }
  return null;
}

/** How long nothing can come round: until some hours before the next day that may, for a clock may change on the way. Null when none does. */
function untilDay(isDay: (wall_ms: number) => boolean, wall_ms: number): number | null {
  const day = Math.floor(wall_ms / day_ms);
  for (let ahead = 0; ahead * day_ms < furthest_ms; ahead += 1) {
    if (isDay((day + ahead) * day_ms)) return Math.max(0, (day + ahead) * day_ms - wall_ms - change_ms);
  }
  return null;
}

/** Whether a time on the wall, as if it were UTC, is of the days and of the minutes that a cron text names. */
function matchersOf(cron: string) {
  const [minute = '', hour = '', ...days] = cron.trim().split(/\s+/);
  return { isDay: matcherOf(`* * ${days.join(' ')}`), isTime: matcherOf(`${minute} ${hour} * * *`) };
}

function matcherOf(cron: string): (wall_ms: number) => boolean {
  const { match } = parseCronItem({ task: 'schedule', match: cron });
  return (wall_ms) => {
    const wall = new Date(wall_ms);
    return match({
      min: wall.getUTCMinutes(),
      hour: wall.getUTCHours(),
      date: wall.getUTCDate(),
      month: wall.getUTCMonth() + 1,
      dow: wall.getUTCDay(),
    });
  };
}

/** instant → what the clock on the wall shows, as if it were UTC; whole minutes */
function clockOf(time_zone: string): (at_ms: number) => number {
  const format = new Intl.DateTimeFormat('en', {
    timeZone: time_zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: 'numeric',
    day: 'numeric',
    hour: 'numeric',
    minute: 'numeric',
  });
  return (at_ms) => {
    const parts = new Map(format.formatToParts(at_ms).map(({ type, value }) => [type, Number(value)]));
    const part = (type: Intl.DateTimeFormatPartTypes) => parts.get(type) ?? 0;
    return Date.UTC(part('year'), part('month') - 1, part('day'), part('hour'), part('minute'));
  };
}
