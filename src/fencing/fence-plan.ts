import { RbdsrError } from '../base/error.ts';
import type { Watcher } from '../ceph/control/control-plane.ts';
import { formatSpec } from '../ceph/image/image-spec.ts';
import { ipOfClient, allOfAddress, type ChosenHost, isNoteOf } from './chosen-host.ts';
import type { SrImage } from './pool-standing.ts';

/** Ten years: Ceph does not change the end of a fence that is there. */
export const FENCE_SECONDS = 315_360_000;

/** What a cluster says of an SR's image. */
export interface ImageView {
  readonly image: SrImage;
  /** The fsid. */
  readonly cluster: string;
  /** Of the image and of its data. */
  readonly pools: readonly string[];
  readonly watchers: readonly Watcher[];
  /** Clients that the cluster has fenced by now: it takes them from the watchers at once. */
  readonly fenced: ReadonlySet<string>;
  /** Who has other images of its pool open; asked for whole addresses only. */
  readonly others: readonly OtherWatcher[];
}

export interface OtherWatcher extends Watcher {
  /** "rbd/other". */
  readonly image: string;
}

/** An SR whose cluster could not be asked. */
export interface UnaskedImage {
  readonly image: SrImage;
  readonly why: string;
}

export interface FenceWish {
  readonly host: ChosenHost;
  readonly wholeAddress: boolean;
  /** Although the pool says that it is alive and uses disks. */
  readonly althoughInUse: boolean;
  readonly includingThisHost: boolean;
}

/** One entry of a cluster's list, and by which SR's user it is made. */
export interface PlannedFence {
  readonly client: string;
  readonly cluster: string;
  readonly image: SrImage;
  /** Further SRs whose images the same client has open. */
  readonly also: readonly SrImage[];
  /** N of `client.N`, of one client. */
  readonly number?: number;
  /** An earlier call has fenced it: it is proven once more. */
  readonly since?: string;
}

export interface FencePlan {
  readonly wish: FenceWish;
  readonly fences: readonly PlannedFence[];
  /** SRs that are plugged on the host, as xapi knows, whose image it does not have open by now. */
  readonly unseen: readonly SrImage[];
  /** Whom whole addresses hit besides: clients of other images. */
  readonly hits: readonly OtherWatcher[];
  /** The whole addresses include this host's own. */
  readonly hitsThisHost: boolean;
  readonly unasked: readonly UnaskedImage[];
  /** Those whose images come out of the host's reach by it. */
  readonly reached: readonly ImageView[];
}

/** `here`: the addresses by which this host is known to clusters. Pure. */
export function planFence(
  wish: FenceWish,
  views: readonly ImageView[],
  unasked: readonly UnaskedImage[],
  here: readonly string[],
): FencePlan {
  const { host, wholeAddress } = wish;
  const isTheirs = ({ address }: Watcher): boolean => host.addresses.includes(ipOfClient(address));
  const fences = wholeAddress
    ? wholeAddresses(host, views)
    : withoutRepeats([...eachClient(views, isTheirs), ...views.flatMap((view) => standingFences(view, host))]);
  const ref = host.inPool?.ref;
  const unseen = views
    .filter(({ image, watchers }) => ref !== undefined && image.pluggedOn.includes(ref) && !watchers.some(isTheirs))
    .filter((view) => !isStillKept(view, host))
    .map(({ image }) => image);
  return {
    wish,
    fences,
    unseen: wholeAddress ? [] : unseen,
    hits: wholeAddress ? views.flatMap(({ others }) => others.filter(isTheirs)) : [],
    hitsThisHost: wholeAddress && host.addresses.some((address) => here.includes(address)),
    unasked,
    reached: views.filter(({ image, cluster }) =>
      fences.some(
        (fence) => fence.cluster === cluster && (wholeAddress || [fence.image, ...fence.also].includes(image)),
      ),
    ),
  };
}

function eachClient(views: readonly ImageView[], isTheirs: (watcher: Watcher) => boolean): readonly PlannedFence[] {
  return views.flatMap(({ image, cluster, watchers }) =>
    watchers
      .filter(isTheirs)
      .map(({ address, client }) => ({ client: address, cluster, image, also: [], number: client })),
  );
}

/** Those of earlier calls, by what they wrote down. */
function standingFences({ image, cluster, fenced }: ImageView, host: ChosenHost): readonly PlannedFence[] {
  return [...image.notes]
    .filter(([client, note]) => fenced.has(client) && isNoteOf(note, client, host))
    .map(([client, { since }]) => ({ client, cluster, image, also: [], since }));
}

/**
 * The host has been fenced, and cannot have mapped the image anew: that takes a PBD.plug, or a boot, and xapi has not
 * heard of it since then.
 */
function isStillKept(view: ImageView, host: ChosenHost): boolean {
  const { isLive = true, heardAt = 0 } = host.inPool ?? {};
  return !isLive && standingFences(view, host).some(({ since = '' }) => heardAt < Date.parse(since));
}

/** On each cluster once, by the user of its first SR. */
function wholeAddresses(host: ChosenHost, views: readonly ImageView[]): readonly PlannedFence[] {
  return withoutRepeats(
    views.flatMap(({ image, cluster }) =>
      host.addresses.map((address) => ({ client: allOfAddress(address), cluster, image, also: [] })),
    ),
  );
}

/** What is twice in it is one entry: a client that has more than one image open. */
function withoutRepeats(fences: readonly PlannedFence[]): readonly PlannedFence[] {
  const once = new Map<string, PlannedFence>();
  for (const fence of fences) {
    const key = `${fence.cluster} ${fence.client}`;
    const first = once.get(key);
    if (first === undefined) once.set(key, fence);
    else if (first.image !== fence.image) once.set(key, { ...first, also: [...first.also, fence.image] });
  }
  return [...once.values()];
}

/** Why it is not done; undefined where nothing is against it. Pure. */
export function fenceRefusal({ wish, fences, hitsThisHost, unseen, unasked }: FencePlan): RbdsrError | undefined {
  const { host, althoughInUse, includingThisHost, wholeAddress } = wish;
  if ((host.isThis || hitsThisHost) && !includingThisHost) return thisHost(host);
  const disks = host.inPool?.isLive === true ? host.inPool.disks : [];
  if (disks.length > 0 && !althoughInUse) {
    return new RbdsrError('sr-in-use', {
      what: `host ${host.title} is alive, as the pool knows, and uses ${disks.length === 1 ? 'a disk' : `${disks.length} disks`}`,
      expected: 'a host that is dead, or that uses no disk of these SRs',
      found: disks.map(({ uuid, name, mode }) => `${uuid} ${JSON.stringify(name)} (${mode})`).join(', '),
      todo: 'Shut down or migrate what runs there. If its guests are to lose these disks at once: --although-in-use.',
    });
  }
  if (fences.length > 0) return undefined;
  const [first] = unasked;
  return new RbdsrError('invalid-argument', {
    what: `no client of ${host.title} has the image of an SR open`,
    expected: `one at ${host.addresses.join(', ')}`,
    ...(first === undefined ? {} : { found: `SR ${first.image.uuid} could not be asked: ${first.why}` }),
    todo:
      wholeAddress || (host.inPool !== undefined && unseen.length === 0)
        ? '`rbd status` shows who has an image open.'
        : 'A cluster forgets who had an image open 30 s after it was last heard, and it may still write: --address fences all of its addresses.',
  });
}

function thisHost({ title, isThis, addresses }: ChosenHost): RbdsrError {
  return new RbdsrError('sr-in-use', {
    what: isThis ? `${title} is this host` : `${addresses.join(', ')} is an address of this host, too`,
    expected: 'another host',
    todo: 'It would lose every image that it has mapped. If that is meant: --including-this-host.',
  });
}

/** "rbd/sr1 (SR 1234... \"disks\")". */
export function titleOfImage({ spec, uuid, name }: SrImage): string {
  return `${formatSpec(spec)} (SR ${uuid} ${JSON.stringify(name)})`;
}
