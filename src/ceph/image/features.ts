import { RbdsrError } from '../../base/error.ts';
import { formatSpec } from './image-spec.ts';
import type { ImageSpec } from './image-spec.ts';

/** Feature bits of an image (ceph `src/include/rbd/features.h`), under the names the rbd tool gives them. */
export const FEATURES = {
  layering: 0x1,
  striping: 0x2,
  'exclusive-lock': 0x4,
  'object-map': 0x8,
  'fast-diff': 0x10,
  'deep-flatten': 0x20,
  journaling: 0x40,
  'data-pool': 0x80,
  operations: 0x100,
  migrating: 0x200,
  'non-primary': 0x400,
  'dirty-cache': 0x800,
} as const;

export type FeatureName = keyof typeof FEATURES;

/**
 * Features that are refused although newer kernels map them, in the order `rbd feature disable` accepts them.
 * exclusive-lock would bounce between hosts on every write, the next three need it, and deep-flatten shuts out hosts
 * with a kernel before 5.1.
 */
const UNWANTED: readonly FeatureName[] = ['journaling', 'fast-diff', 'object-map', 'exclusive-lock', 'deep-flatten'];

/**
 * Features an image has from birth or by its state; nothing takes them away, and they do no harm where the kernel has
 * them.
 */
const TOLERATED: readonly FeatureName[] = ['layering', 'striping', 'data-pool', 'operations'];

/** Names of the bits; a bit without one is shown as `bit 12`. */
export function featureNames(features: number): readonly string[] {
  const names: string[] = [];
  for (let bit = 0; bit < 52; bit += 1) {
    if (!hasBit(features, bit)) continue;
    const known = Object.entries(FEATURES).find(([, value]) => value === 2 ** bit);
    names.push(known?.[0] ?? `bit ${bit}`);
  }
  return names;
}

export function featureBits(names: readonly string[]): number {
  return names.reduce((sum, name) => sum + (isFeature(name) ? FEATURES[name] : 0), 0);
}

/** "0x1", "61": what sysfs and the kernel log write. */
export function parseFeatures(text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : 0;
}

/**
 * 'image-features' unless the image has nothing but what RBDSR accepts and this kernel maps. `supported` are the
 * kernel's own bits (krbd-sysfs.ts, supportedFeatures).
 */
export function checkImageFeatures(spec: ImageSpec, features: number, supported: number): void {
  const names = featureNames(features);
  const unwanted = UNWANTED.filter((name) => names.includes(name));
  const lacking = names.filter((name) => !unwanted.includes(name as FeatureName) && !isAccepted(name, supported));
  if (unwanted.length === 0 && lacking.length === 0) return;
  throw imageFeatures(
    spec,
    unwanted,
    lacking,
    lacking.length > 0 ? remake(spec) : `Run: ${disableCommand(spec, unwanted)}`,
  );
}

/**
 * The same error from what the kernel refused. It names only the bits it lacks, and on old kernels none, so others may
 * have to go too.
 */
export function unsupportedFeatures(spec: ImageSpec, bits: number): RbdsrError {
  const names = featureNames(bits);
  const unwanted = UNWANTED.filter((name) => names.includes(name));
  const lacking = names.filter((name) => !unwanted.includes(name as FeatureName));
  const others = UNWANTED.filter((name) => !names.includes(name));
  if (lacking.length > 0) return imageFeatures(spec, unwanted, lacking, remake(spec));
  const seen = `that \`rbd info\` shows: ${disableCommand(spec, others)}`;
  const todo =
    unwanted.length === 0
      ? `Take away those ${seen}`
      : `Run: ${disableCommand(spec, unwanted)} and then for those of the others ${seen}`;
  return imageFeatures(spec, unwanted, lacking, todo);
}

/** The exact line for a shell. */
export function disableCommand(spec: ImageSpec, names: readonly string[]): string {
  return `rbd feature disable ${shellSpec(spec)} ${names.join(',')}`;
}

function imageFeatures(
  spec: ImageSpec,
  unwanted: readonly string[],
  lacking: readonly string[],
  todo: string,
): RbdsrError {
  const found = [...unwanted, ...lacking].join(', ');
  const why = unwanted.length > 0 && lacking.length === 0 ? 'an SR must not have' : "this host's kernel cannot map";
  return new RbdsrError('image-features', {
    what: `image ${formatSpec(spec)} has features that ${why}`,
    expected: 'layering only',
    found: found === '' ? 'some that the kernel does not name' : found,
    todo,
    facts: { features: found, disable: unwanted.join(',') },
  });
}

/** For features no command takes away. */
function remake(spec: ImageSpec): string {
  const name = shellSpec({ ...spec, image: 'NEW' });
  return `Make another image: rbd create --size SIZE --image-feature layering ${name}`;
}

function isAccepted(name: string, supported: number): boolean {
  if (!isFeature(name) || !TOLERATED.includes(name)) return false;
  return hasBit(supported, Math.log2(FEATURES[name]));
}

function isFeature(name: string): name is FeatureName {
  return Object.hasOwn(FEATURES, name);
}

/** No shift: bits above 31 exist. */
function hasBit(value: number, bit: number): boolean {
  return Math.floor(value / 2 ** bit) % 2 === 1;
}

/** As one word of a shell, and as options where a name holds what would cut a spec into parts. */
export function shellSpec(spec: ImageSpec): string {
  const parts = [spec.pool, spec.namespace ?? '', spec.image];
  if (parts.every((part) => /^[^/@]*$/.test(part)) && !spec.pool.startsWith('-')) {
    return quoted(parts.filter((part) => part !== '').join('/'));
  }
  const namespace = spec.namespace === undefined ? '' : ` ${quoted(`--namespace=${spec.namespace}`)}`;
  return `${quoted(`--pool=${spec.pool}`)}${namespace} ${quoted(`--image=${spec.image}`)}`;
}

function quoted(text: string): string {
  return /^[A-Za-z0-9_./=:@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}
