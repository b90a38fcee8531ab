/**
 * What the lab and the agent of a host say to each other: JSON documents, each behind its length (4 bytes, big-endian).
 * Bytes are base64.
 */
export type Frame =
  | { readonly kind: 'hello' }
  | {
      readonly kind: 'exec';
      readonly id: number;
      readonly argv: readonly string[];
      readonly stdin: string;
      readonly env: Readonly<Record<string, string>>;
      readonly timeoutMs: number;
    }
  | {
      readonly kind: 'ended';
      readonly id: number;
      readonly code: number;
      readonly stdout: string;
      readonly stderr: string;
    }
  /** A program of the host connected to xapi's socket; then bytes either way, until either side ends. */
  | { readonly kind: 'open'; readonly id: number }
  | { readonly kind: 'data'; readonly id: number; readonly bytes: string }
  | { readonly kind: 'end'; readonly id: number };

export function encodeFrame(frame: Frame): Buffer {
  const body = Buffer.from(JSON.stringify(frame));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(body.length);
  return Buffer.concat([length, body]);
}

/** Takes chunks as they come and calls `onFrame` for each whole frame. */
export function frameReader(onFrame: (frame: Frame) => void): (chunk: Uint8Array) => void {
  let chunks: Uint8Array[] = [];
  let have = 0;
  return (chunk) => {
    chunks.push(chunk);
    have += chunk.length;
    if (have < 4) return;
    let rest = chunks.length === 1 ? Buffer.from(chunk) : Buffer.concat(chunks);
    while (rest.length >= 4 && rest.length >= 4 + rest.readUInt32BE(0)) {
      const end = 4 + rest.readUInt32BE(0);
      onFrame(JSON.parse(rest.toString('utf8', 4, end)) as Frame);
      rest = rest.subarray(end);
    }
    chunks = [rest];
    have = rest.length;
  };
}
