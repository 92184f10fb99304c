// Every way Lattice says no. A problem's code is the same word in a SQL constraint, in TypeScript, in HTTP and in the docs;
// this catalogue gives each its status and title (RFC 9457), and says whether the same request may succeed later.

interface ProblemKind {
  status: number;
  title: string;
  retryable?: true;
  /** of the field that is at fault when a constraint of this name is violated */
  pointer?: string;
}

const catalogue = {
  // The request as such
  malformed_json: { status: 400, title: 'The body is not JSON' },
  invalid_request: { status: 400, title: 'The request does not have the documented shape' },
  idempotency_key_missing: { status: 400, title: 'Mutating requests carry an Idempotency-Key' },
  idempotency_key_invalid: {
    status: 400,
    title: 'The Idempotency-Key is not 1 to 255 visible ASCII characters',
  },
  cursor_invalid: { status: 400, title: 'The cursor is not one of ours' },
  cursor_mismatch: { status: 400, title: 'The cursor belongs to a list with other filters' },
  unauthenticated: { status: 401, title: 'The API key is missing, unknown, expired or revoked' },
  forbidden: { status: 403, title: 'The API key may not do this' },
  not_found: { status: 404, title: 'There is no such thing here' },
  method_not_allowed: { status: 405, title: 'The path exists, the method does not' },
  request_timeout: { status: 408, title: 'The request took too long to arrive', retryable: true },
  precondition_failed: { status: 412, title: 'The thing has changed since the ETag was read' },
  body_too_large: { status: 413, title: 'The body is too large' },
  bulk_too_large: { status: 413, title: 'A bulk request has at most 10,000 items' },
  unsupported_media_type: { status: 415, title: 'The body is not of a documented media type' },
  expectation_failed: { status: 417, title: 'The request expects what is not done here' },
  rate_limited: {
    status: 429,
    title: 'Too many requests for this API key, or too many failed logins from this address',
    retryable: true,
  },
  internal_error: { status: 500, title: 'Something failed on our side', retryable: true },
  overloaded: { status: 503, title: 'More requests are waiting than can be served', retryable: true },
  unavailable: { status: 503, title: 'The database cannot serve the request now', retryable: true },
  // Idempotency
  idempotency_key_in_use: { status: 409, title: 'A request with this key is still running', retryable: true },
  idempotency_key_reused: { status: 422, title: 'This key was used for another request' },
  // Tenants and access
  tenant_suspended: { status: 403, title: 'The tenant is suspended' },
  tenant_not_active: { status: 409, title: 'The tenant is not active' },
  tenant_not_suspended: { status: 409, title: 'The tenant is not suspended' },
  tenant_slug_taken: { status: 409, title: 'Another tenant has this slug', pointer: '#/slug' },
  key_revoked: { status: 409, title: 'The API key is already revoked' },
  key_expired: { status: 409, title: 'The API key has expired' },
  last_owner_key: { status: 409, title: 'A tenant keeps at least one owner key' },
  // Consumers, projections and streams of the log
  consumer_not_parked: { status: 409, title: 'The consumer is not parked' },
  rebuild_running: { status: 409, title: 'The projection is being rebuilt' },
  rebuild_not_running: { status: 409, title: 'The projection is not being rebuilt' },
  version_not_kept: { status: 409, title: 'No version of the projection is kept' },
  stream_limit_reached: {
    status: 429,
    title: 'The API key has as many streams open as it may',
    retryable: true,
  },
  // Jobs
  dead_letter_settled: { status: 409, title: 'The dead letter has been retried or dismissed' },
  job_unknown: { status: 409, title: 'This version has no such job' },
  // Projections
  report_dimension_taken: { status: 409, title: 'The key is a dimension of reports already' },
  report_dimension_limit_reached: { status: 422, title: 'A tenant has at most ten dimensions of reports' },
  projection_behind: {
    status: 409,
    title: 'The projection has not come to the position that was asked for',
    retryable: true,
  },
  export_too_large: { status: 422, title: 'An export has at most 50,000 rows' },
  // Webhooks
  webhooks_not_configured: { status: 503, title: 'Webhooks are not set up here' },
  webhook_not_enabled: { status: 409, title: 'The webhook endpoint is not enabled' },
  webhook_not_disabled: { status: 409, title: 'The webhook endpoint is not disabled' },
  webhook_endpoints_exhausted: { status: 409, title: 'A tenant has at most 1,000 enabled webhook endpoints' },
  replay_too_long: { status: 422, title: 'A replay has at most 50,000 positions' },
  // Accounts
  account_code_taken: { status: 409, title: 'Another account has this code', pointer: '#/code' },
  account_not_open: { status: 409, title: 'The account is not open' },
  account_not_closed: { status: 409, title: 'The account is not closed' },
  currency_unknown: { status: 422, title: 'The currency is neither ISO 4217 nor registered by the tenant' },
  asset_taken: { status: 409, title: 'The asset is already registered', pointer: '#/currency' },
  // Transactions, in the order in which they are checked
  transaction_not_pending: { status: 409, title: 'The transaction is not pending' },
  transaction_not_posted: { status: 409, title: 'The transaction is not posted' },
  already_reversed: { status: 409, title: 'The transaction is already reversed in full' },
  account_not_found: { status: 422, title: 'An entry names an account that does not exist' },
  currency_mismatch: { status: 422, title: "An entry's currency is not its account's" },
  entries_unbalanced: { status: 422, title: 'Debits and credits differ' },
  capture_exceeds_hold: { status: 422, title: 'More is captured than is left of the hold' },
  reversal_exceeds_transaction: { status: 422, title: 'More is reversed than is left of the transaction' },
  entries_required: { status: 422, title: 'An amount alone does not say how several entries share it' },
  accounts_must_differ: { status: 422, title: 'Nothing moves between different accounts' },
  account_closed: { status: 422, title: 'An entry names a closed account' },
  amount_too_large: { status: 422, title: 'A total has more than 38 digits' },
  expiry_in_past: { status: 422, title: 'The hold would have expired already' },
  reference_taken: { status: 409, title: 'Another transaction has this reference' },
  insufficient_funds: { status: 422, title: 'An account would fall below its limit' },
  limit_exceeded: { status: 422, title: 'An account would pass its limit' },
  ledger_halted: {
    status: 503,
    title: 'Postings of this tenant are halted until its ledger is verified',
    retryable: true,
  },
  ledger_not_halted: { status: 409, title: 'Postings of this tenant are not halted' },
  ledger_not_proved: { status: 409, title: 'The recount of the ledger still differs' },
  signing_key_unknown: { status: 503, title: 'The key that signed the block is not known here' },
  transaction_not_sealed: { status: 409, title: 'No block covers the transaction yet', retryable: true },
} satisfies Record<string, ProblemKind>;

export type ProblemCode = keyof typeof catalogue;

export const problems: Record<ProblemCode, ProblemKind> = catalogue;

export interface FieldError {
  /** RFC 6901 pointer into the body, or `#/query/<name>`, `#/path/<name>`, `#/header/<name>` */
  pointer: string;
  code: string;
  detail: string;
}

export interface ProblemOptions {
  errors?: FieldError[];
  /** typed extras of the code, such as `available` and `required` of `insufficient_funds` */
  extras?: Record<string, unknown>;
  headers?: Record<string, string>;
}

/** A refusal with a code. Thrown by verbs, rendered once, at the HTTP edge. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly options: ProblemOptions;

  constructor(code: ProblemCode, detail: string, options: ProblemOptions = {}) {
    super(detail);
    this.name = 'Problem';
    this.code = code;
    this.status = problems[code].status;
    this.options = options;
  }
}

export const key_header_pointer = '#/header/Idempotency-Key';

/** `pointer` is where the key is: in the request's header, or in an item. */
export function keyReused(pointer = key_header_pointer): Problem {
  const detail = 'This key was used for another request';
  return new Problem('idempotency_key_reused', detail, {
    errors: [{ pointer, code: 'idempotency_key_reused', detail }],
  });
}

/** The RFC 9457 document of a problem. The stored answer of a refused request is exactly this text. */
export function problemDocument(problem: Problem, instance: string, request_id: string) {
  const kind = problems[problem.code];
  return {
    type: `https://lattice.example/problems/${problem.code}`,
    code: problem.code,
    title: kind.title,
    status: kind.status,
    detail: problem.message,
    instance,
    request_id,
    retryable: kind.retryable ?? false,
    ...(problem.options.errors === undefined ? {} : { errors: problem.options.errors }),
    ...problem.options.extras,
  };
}

const isProblemCode = (code: unknown): code is ProblemCode =>
  typeof code === 'string' && Object.hasOwn(problems, code);

/** The problem of a document that `problemDocument` made. */
export function readProblem(text: string): Problem {
  const {
    type: _type,
    code,
    title: _title,
    status: _status,
    detail,
    instance: _instance,
    request_id: _id,
    ...rest
  } = JSON.parse(text);
  if (!isProblemCode(code)) throw new Error('not a problem of ours');
  const { retryable: _retryable, errors, ...extras } = rest;
  return new Problem(code, String(detail), { extras, ...(errors === undefined ? {} : { errors }) });
}
