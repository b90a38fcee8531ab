import type { StringMap } from '../xapi/values.ts';

/**
 * Ceph keeps of a fence whom and until when. Since when and by whom stands in SR.sm_config of the SR whose image the
 * client had open, under a key for each client: every host of the pool reads it, it needs no key of the cluster, it
 * goes with the SR, and an entry beside which there is none is somebody else's.
 */
const FENCED = 'rbd_fence_';

export interface FenceNote {
  /** ISO 8601. */
  readonly since: string;
  /** "root on alpha". */
  readonly by: string;
  /** The fenced host's name, or its address where the pool has no such host. */
  readonly host: string;
  readonly hostUuid?: string;
}

export function noteKey(client: string): string {
  return `${FENCED}${client}`;
}

export function noteText({ since, by, host, hostUuid }: FenceNote): string {
  return JSON.stringify({ since, by, host, ...(hostUuid === undefined ? {} : { hostUuid }) });
}

/** By client. One that nobody understands is none. Pure. */
export function notesIn(smConfig: StringMap): ReadonlyMap<string, FenceNote> {
  const notes = new Map<string, FenceNote>();
  for (const [key, value] of Object.entries(smConfig)) {
    const note = key.startsWith(FENCED) ? decodeNote(value) : undefined;
    if (note !== undefined) notes.set(key.slice(FENCED.length), note);
  }
  return notes;
}

function decodeNote(text: string): FenceNote | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null) return undefined;
  const { since, by, host, hostUuid } = value as Record<string, unknown>;
  if (typeof since !== 'string' || typeof by !== 'string' || typeof host !== 'string') return undefined;
  return { since, by, host, ...(typeof hostUuid === 'string' ? { hostUuid } : {}) };
}
