// Structured logs, one JSON line each. What could identify a person or open a door never reaches a line.
import pino from 'pino';

export type Logger = pino.Logger;

export function createLogger(level: string): Logger {
  return pino({
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    redact: {
      paths: [
        'authorization',
        'cookie',
        'password',
        'secret',
        'api_key',
        '*.authorization',
        '*.cookie',
        '*.password',
        '*.secret',
        '*.api_key',
      ],
      censor: '[redacted]',
    },
  });
}
