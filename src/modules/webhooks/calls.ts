// What this module asks of whoever calls out for it (src/jobs/outbound.ts), in words of its own: a module has no network.

export interface Call {
  url: string;
  headers: Record<string, string>;
  body: string;
}

/** Why there was no answer that counts. */
export type CallFault =
  | 'address_refused'
  | 'name_not_resolved'
  | 'connection_failed'
  | 'tls_failed'
  | 'timeout'
  | 'answer_too_large'
  | 'answer_malformed'
  | 'stopped';

export type Called =
  | {
      kind: 'answered';
      status_code: number;
      answer: string;
      /** the header, as it came */
      retry_after: string | null;
      duration_ms: number;
    }
  | { kind: 'failed'; fault: CallFault; detail: string; duration_ms: number };

export interface UrlRefusal {
  code: 'url_malformed' | 'https_required' | 'url_private' | 'url_port_refused';
  detail: string;
}

export interface Caller {
  /** what is wrong with a URL as far as its text tells; null when it may be called */
  maybeRefusal: (url: string) => UrlRefusal | null;
  /** `signal` cuts it short */
  call: (call: Call, signal: AbortSignal) => Promise<Called>;
  close: () => Promise<void>;
}
