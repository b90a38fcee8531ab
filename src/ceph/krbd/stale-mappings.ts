import { formatSpec, sameSpec } from '../image/image-spec.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import type { Mapping } from './mapping.ts';

/** An SR of this host and the image it stands on. */
export interface MappingClaim {
  readonly srUuid: string;
  readonly spec: ImageSpec;
  readonly fsid?: string;
  /** Whether it is plugged on this host. */
  readonly attached: boolean;
}

/** A mapping that no plugged SR uses. */
export interface StaleMapping {
  readonly mapping: Mapping;
  readonly reason: 'unclaimed' | 'sr-detached' | 'double';
  /** Sentences for the administrator: how it may have come to be, and what to do. */
  readonly explanation: string;
}

/**
 * Those mappings that no attached SR of this host accounts for. They come from a crash between mapping and the next
 * step, from a detach that found the image busy, or from somebody else's hand; nothing removes them by itself. `inUse`
 * says who has a device open.
 */
export function staleMappings(
  mappings: readonly Mapping[],
  claims: readonly MappingClaim[],
  inUse: (mapping: Mapping) => string | undefined = () => undefined,
): readonly StaleMapping[] {
  const taken = new Set<MappingClaim>();
  const stale: StaleMapping[] = [];
  for (const mapping of mappings) {
    const claim = claims.find((candidate) => isClaimedBy(candidate, mapping));
    if (claim?.attached === true && !taken.has(claim)) taken.add(claim);
    else stale.push(explain(mapping, claim, taken, inUse(mapping)));
  }
  return stale;
}

function isClaimedBy(claim: MappingClaim, mapping: Mapping): boolean {
  if (!sameSpec(claim.spec, mapping.spec)) return false;
  return claim.fsid === undefined || mapping.fsid === undefined || claim.fsid === mapping.fsid;
}

function explain(
  mapping: Mapping,
  claim: MappingClaim | undefined,
  taken: ReadonlySet<MappingClaim>,
  openers: string | undefined,
): StaleMapping {
  const name = `${mapping.device} is image ${formatSpec(mapping.spec)} of cluster ${mapping.fsid ?? 'unknown'}`;
  const use = openers === undefined ? 'Nobody has it open.' : `It is in use by ${openers}.`;
  const remove =
    openers === undefined ? `\`rbdsr unmap ${mapping.device}\` removes it.` : 'Leave it alone until that has ended.';
  if (claim === undefined) {
    return {
      mapping,
      reason: 'unclaimed',
      explanation: `${name}, which no SR of this host stands on: somebody mapped it by hand, or its SR was forgotten while attached. ${use} ${remove}`,
    };
  }
  if (taken.has(claim)) {
    return {
      mapping,
      reason: 'double',
      explanation: `${name}, which SR ${claim.srUuid} already has mapped as another device. ${use} ${remove}`,
    };
  }
  return {
    mapping,
    reason: 'sr-detached',
    explanation: `${name} of SR ${claim.srUuid}, which is not plugged on this host: a command was cut short between mapping and the next step, or a detach found it busy. ${use} The next plug adopts it; ${remove}`,
  };
}
