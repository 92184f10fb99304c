// Structured logs, one JSON line each. What could identify a person or open a door never reaches a line.
import pino from 'pino';

export type Logger = pino.Logger;

export function createLogger(level: string): Logger {
  const options = {
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
  };
  return pino(options, openOutput());
}

/** Standard output. When nobody reads it any more pino lets go of a pipe, but would try a closed terminal again for ever as the process ends. */
function openOutput(): pino.DestinationStream {
  const output = pino.destination(1);
  output.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE' && error.code !== 'EIO') throw error;
    output.write = () => true;
    output.flushSync = () => {};
  });
  return output;
}
