export interface HttpMessage {
  readonly status: number;
  readonly body: string;
  readonly keep: boolean;
}

const HEAD_LIMIT = 64 << 10;
const BODY_LIMIT = 64 << 20;

/**
 * The response in the bytes received so far; undefined while it is not all there. `chunks` is compacted on the way.
 * Reads what xapi's server sends (xen-api `ocaml/libs/http-lib`): Content-Length, or a body that lasts until the
 * connection ends. Throws an Error in words.
 */
export function completeMessage(chunks: Buffer[], ended: boolean): HttpMessage | undefined {
  const [first] = chunks;
  if (first === undefined) return unfinished(ended);
  const bytes = chunks.length === 1 || first.includes(HEAD_END) ? first : joined(chunks);
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) {
    if (bytes.length > HEAD_LIMIT) throw new Error('an answer that is not HTTP');
    return unfinished(ended);
  }
  const [statusLine = '', ...lines] = bytes.toString('latin1', 0, headEnd).split('\r\n');
  const [, version, status] = /^HTTP\/(1\.[01]) (\d{3})\b/.exec(statusLine) ?? [];
  if (version === undefined || status === undefined) throw new Error('an answer that is not HTTP');
  const headers = readHeaders(lines);
  if (headers.has('transfer-encoding')) throw new Error('an answer in a transfer coding');
  const declared = headers.get('content-length');
  const start = headEnd + HEAD_END.length;
  const have = chunks.reduce((sum, chunk) => sum + chunk.length, 0) - start;
  const length = declared === undefined ? (ended ? have : undefined) : contentLength(declared);
  if (length === undefined || have < length) return unfinished(ended && declared !== undefined);
  const body = joined(chunks).toString('utf8', start, start + length);
  const keep = !ended && declared !== undefined && version === '1.1' && headers.get('connection') !== 'close';
  return { status: Number(status), body, keep };
}

const HEAD_END = Buffer.from('\r\n\r\n');

function unfinished(ended: boolean): undefined {
  if (ended) throw new Error('the connection closed before the answer was complete');
  return undefined;
}

/** Makes the chunks one, so that a long answer is not searched again for every piece of it. */
function joined(chunks: Buffer[]): Buffer {
  const all = Buffer.concat(chunks);
  chunks.splice(0, chunks.length, all);
  return all;
}

function readHeaders(lines: readonly string[]): Map<string, string> {
  return new Map(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [
        line.slice(0, colon).trim().toLowerCase(),
        line
          .slice(colon + 1)
          .trim()
          .toLowerCase(),
      ];
    }),
  );
}

function contentLength(text: string): number {
  const length = /^\d{1,12}$/.test(text) ? Number(text) : Number.NaN;
  if (length <= BODY_LIMIT) return length;
  throw new Error('an answer whose Content-Length is not usable');
}
