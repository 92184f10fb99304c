// How values of Postgres become values of ours: nothing that carries money or time is ever rounded.
import pg from 'pg';

const microseconds = /^(\d{4,}-\d\d-\d\d) (\d\d:\d\d:\d\d(?:\.\d+)?)\+00$/;

/** Postgres' text of an instant → RFC 3339 in UTC, microseconds kept. Sessions run in UTC. */
function instantText(text: string): string {
  const parts = microseconds.exec(text);
  if (parts === null) throw new Error(`not an instant in UTC: ${text}`);
  return `${parts[1]}T${parts[2]}Z`;
}

function safeInteger(text: string): number {
  const value = Number(text);
  if (!Number.isSafeInteger(value)) throw new Error(`bigint beyond 2^53: ${text}`);
  return value;
}

/** int8 (positions, counts) become numbers with a guard, numeric (money) stays text, instants become RFC 3339 text. */
export const types = new pg.TypeOverrides();
types.setTypeParser(pg.types.builtins.INT8, safeInteger);
types.setTypeParser(pg.types.builtins.NUMERIC, (text: string) => text);
types.setTypeParser(pg.types.builtins.TIMESTAMPTZ, instantText);
types.setTypeParser(pg.types.builtins.DATE, (text: string) => text);
types.setTypeParser(pg.types.builtins.JSON, (text: string) => text);
types.setTypeParser(1016, arrayOf(safeInteger));
types.setTypeParser(
  1231,
  arrayOf((item) => item),
);
types.setTypeParser(
  1185,
  arrayOf((item) => instantText(item.replaceAll('"', ''))),
);

/** Parses a one-dimensional array literal whose items need no quotes. */
function arrayOf<Item>(parse: (text: string) => Item): (text: string) => (Item | null)[] {
  return (text) =>
    text === '{}'
      ? []
      : text
          .slice(1, -1)
          .split(',')
          .map((item) => (item === 'NULL' ? null : parse(item)));
}
