import type { Deadline } from '../../base/deadline.ts';
import { hasCode, RbdsrError } from '../../base/error.ts';
import { undo } from '../../base/undo.ts';
import { ensureModule } from '../../system/kernel.ts';
import type { ClusterAccess } from '../cluster/access.ts';
import type { KeyType } from '../cluster/cephx-key.ts';
import type { ImageSpec } from '../image/image-spec.ts';
import type { KernelKeys } from './kernel-keys.ts';
import { type KernelTraits, kernelTraits } from './kernel-traits.ts';
import { controlFiles, HOST_ROOTS, isReadOnly, listMappings, supportedFeatures } from './krbd-sysfs.ts';
import type { KrbdHost, MapRequest } from './krbd-host.ts';
import type { MapResult } from './map-image.ts';
import { selectMapping } from './mapping.ts';
import type { Mapping } from './mapping.ts';

export interface KrbdOptions {
  /** Default `/sys`. */
  readonly sysRoot?: string;
  /** Default `/dev`. */
  readonly devRoot?: string;
  /** Where the locks of images live; default `/var/run/rbdsr`. */
  readonly lockDir?: string;
  /** Default `/dev/kmsg`. */
  readonly kernelLog?: string;
  /** Default: that of the running kernel. */
  readonly release?: string;
}

/**
 * RBD images as block devices of this host, by the kernel's own client and its sysfs interface: no ceph program is
 * needed. Most commands only look for a mapping: the code of what changes one is loaded when it is asked for.
 */
export class Krbd {
  readonly host: KrbdHost;
  /** Which cephx keys the kernel can use; loads its client where that has to be asked. */
  readonly keys: KernelKeys;

  constructor(options: KrbdOptions = {}) {
    this.host = {
      roots: { sysRoot: options.sysRoot ?? HOST_ROOTS.sysRoot, devRoot: options.devRoot ?? HOST_ROOTS.devRoot },
      lockDir: options.lockDir ?? '/var/run/rbdsr',
      kernelLog: options.kernelLog ?? '/dev/kmsg',
      kernel: kernelTraits(options.release),
    };
    const { kernel } = this.host;
    this.keys = { kernel, types: (deadline) => this.#keyTypes(kernel, deadline) };
  }

  /** Every mapping of the host. No network, no device is touched. */
  list(): readonly Mapping[] {
    return listMappings(this.host.roots);
  }

  /**
   * The mapping of exactly this image. 'device-ambiguous'. Without `fsid` the cluster is not checked: for messages
   * only.
   */
  find(spec: ImageSpec, fsid?: string): Mapping | undefined {
    return selectMapping(this.list(), spec, fsid === undefined ? {} : { fsid });
  }

  /** Feature bits of images that this kernel maps. */
  supportedFeatures(): number {
    return supportedFeatures(this.host.roots, this.host.kernel);
  }

  /**
   * Maps the image, or adopts the mapping that is there, and proves that it works: the node exists, its size is the
   * image's, one direct read answers. Steps and what a crash after each leaves: map-image.ts. After a failure nothing
   * new stays mapped: what the kernel maps after the deadline is unmapped then. Where the OSDs do not answer the last
   * read, the mapping is left for the next attempt to adopt.
   */
  async map(access: ClusterAccess, spec: ImageSpec, request: MapRequest, deadline: Deadline): Promise<MapResult> {
    await this.loadModule(deadline);
    // The only word on a mapping's cluster there.
    if (!this.host.kernel.identityAttributes) await this.#mountDebugfs(deadline);
    const { isNew, mapping } = await this.#mapOnce(access, spec, request, deadline);
    if (isNew || request.readOnly === true || !isReadOnly(this.host.roots, mapping)) return { isNew, mapping };
    // That it is a probe's was shown by the first open only, which was the proof's.
    return this.#mapOnce(access, spec, request, deadline);
  }

  async #mapOnce(access: ClusterAccess, spec: ImageSpec, request: MapRequest, deadline: Deadline): Promise<MapResult> {
    const { mapImage } = await import('./map-image.ts');
    const { proveMapping } = await import('./prove-mapping.ts');
    const { unmapImage } = await import('./unmap-image.ts');
    const { mapping, isNew } = await mapImage(this.host, access, spec, request, deadline);
    try {
      return { mapping: await proveMapping(this.host, mapping, request.sizeBytes, deadline), isNew };
    } catch (error) {
      if (!isNew || hasCode(error, 'osd-unresponsive', 'deadline') || !(error instanceof RbdsrError)) throw error;
      const unmap = (): Promise<void> => unmapImage(this.host, mapping, {}, deadline.forCleanUp());
      return undo(error, { [`the mapping ${mapping.device}`]: unmap });
    }
  }

  /**
   * Unmaps; done when it is not mapped any more. 'device-busy' names who has it open and changes nothing. `force` fails
   * the requests of whoever has it open: only on an explicit order.
   */
  async unmap(mapping: Mapping, deadline: Deadline, options: { readonly force?: boolean } = {}): Promise<void> {
    const { unmapImage } = await import('./unmap-image.ts');
    await unmapImage(this.host, mapping, options, deadline);
  }

  /** 'device-busy', as `unmap` would throw it once the devices `ours` on it (`dm-3`) are gone. Changes nothing. */
  async refuseIfOpen(mapping: Mapping, ours: readonly string[], deadline: Deadline): Promise<void> {
    const { refuseIfOpen } = await import('./unmap-image.ts');
    await refuseIfOpen(mapping, ours, deadline);
  }

  /** 'kernel-module-missing'. */
  async loadModule(deadline: Deadline): Promise<void> {
    if (controlFiles(this.host.roots) !== undefined) return;
    await ensureModule('rbd', deadline);
  }

  async #mountDebugfs(deadline: Deadline): Promise<void> {
    const { mountDebugfs } = await import('../../system/debugfs.ts');
    await mountDebugfs(this.host.roots.sysRoot, deadline);
  }

  async #keyTypes(kernel: KernelTraits, deadline: Deadline): Promise<readonly KeyType[]> {
    const { kernelKeys, kernelTakes } = await import('./kernel-keys.ts');
    const takes = async (type: KeyType): Promise<boolean> => {
      try {
        await this.loadModule(deadline);
      } catch (error) {
        if (hasCode(error, 'kernel-module-missing')) return false;
        throw error;
      }
      return kernelTakes(type);
    };
    return kernelKeys(kernel, takes).types(deadline);
  }
}
