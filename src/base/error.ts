/**
 * Every way an operation of ours can fail. The list is closed: `src/sm/protocol/error-numbers.ts` maps each code to one
 * documented SM number and the compiler checks that none is missing.
 */
export type ErrorCode =
  // the request
  | 'bad-request'
  | 'unknown-command'
  | 'unimplemented'
  | 'invalid-argument'
  | 'config-missing'
  | 'target-missing'
  | 'config-invalid'
  | 'illegal-xml-char'
  | 'not-master'
  | 'invalid-secret'
  // xapi
  | 'xapi-unreachable'
  | 'xapi-failure'
  // the cluster and its images
  | 'dns'
  | 'monitor-unreachable'
  | 'cluster-auth'
  | 'cluster-incompatible'
  | 'osd-unresponsive'
  | 'pool-missing'
  | 'image-missing'
  | 'image-features'
  | 'image-unmappable'
  | 'image-too-small'
  | 'image-in-use'
  | 'image-foreign'
  | 'control-plane-missing'
  | 'control-plane-failed'
  // the monitor over SSH
  | 'ssh-protocol'
  | 'ssh-host-key'
  | 'ssh-login'
  | 'sudo-refused'
  | 'admin-key-missing'
  | 'quorum-lost'
  // this host
  | 'kernel-module-missing'
  | 'kernel-unsupported'
  | 'device-missing'
  | 'device-busy'
  | 'device-ambiguous'
  | 'program-failed'
  | 'program-missing'
  | 'deadline'
  | 'lock-busy'
  | 'io'
  | 'internal'
  // the SR
  | 'sr-exists'
  | 'sr-unavailable'
  | 'sr-in-use'
  | 'sr-not-empty'
  | 'sr-full'
  | 'sr-scan'
  | 'lvm-create'
  | 'lvm-delete'
  | 'lvm-activate'
  | 'lvm-deactivate'
  | 'lvm-resize'
  | 'lvm-missing'
  | 'vg-create'
  | 'metadata-corrupt'
  | 'journal'
  | 'refcount'
  // a VDI
  | 'vdi-exists'
  | 'vdi-missing'
  | 'vdi-unavailable'
  | 'vdi-in-use'
  | 'vdi-size'
  | 'vdi-type'
  | 'vdi-create'
  | 'vdi-delete'
  | 'vdi-resize'
  | 'vdi-snapshot'
  | 'chain-too-long'
  | 'vdi-provision'
  | 'vhd-corrupt'
  | 'tapdisk-failed'
  | 'tapdisk-running'
  // tests
  | 'fault-point';

export interface ErrorDetail {
  /** What went wrong, naming the thing: "rbd image pool/img has features dom0's kernel lacks". */
  readonly what: string;
  readonly expected?: string;
  readonly found?: string;
  /** What the reader can do, as a full sentence or a command. */
  readonly todo?: string;
  /** Machine-readable facts for logs and tests; never a secret. */
  readonly facts?: Readonly<Record<string, string | number | boolean>>;
  readonly cause?: unknown;
}

/**
 * The one error class of the product. Its message is made of the detail's sentences, in the order a reader needs them.
 */
export class RbdsrError extends Error {
  readonly code: ErrorCode;
  readonly detail: ErrorDetail;

  constructor(code: ErrorCode, detail: ErrorDetail) {
    super(sentence(detail), detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'RbdsrError';
    this.code = code;
    this.detail = detail;
  }
}

/** True when `error` is ours and carries one of `codes`. */
export function hasCode(error: unknown, ...codes: readonly ErrorCode[]): error is RbdsrError {
  return error instanceof RbdsrError && codes.includes(error.code);
}

/** The text of whatever was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function sentence(detail: ErrorDetail): string {
  const parts = [detail.what];
  if (detail.expected !== undefined) parts.push(`expected ${detail.expected}`);
  if (detail.found !== undefined) parts.push(`found ${detail.found}`);
  const head = parts.join('; ');
  return detail.todo === undefined ? head : `${head}. ${detail.todo}`;
}
