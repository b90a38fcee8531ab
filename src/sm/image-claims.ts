import { RbdsrError } from '../base/error.ts';
import { formatSpec, type ImageSpec } from '../ceph/image-spec.ts';
import { allPbds } from '../xapi/pbd.ts';
import type { SmCall } from './handler.ts';

/** 'sr-in-use' where a PBD of another SR names the same image by a monitor of the same cluster. */
export async function refuseImageOfAnotherSr(call: SmCall, spec: ImageSpec): Promise<void> {
  const { srRef, deviceConfig } = call.request;
  const ours = monitorsOf(deviceConfig['monitors']);
  for (const pbd of await allPbds(await call.xapi())) {
    const config = pbd.deviceConfig;
    if (pbd.sr === srRef || config['pool'] !== spec.pool || config['image'] !== spec.image) continue;
    if ((config['namespace'] ?? '') !== (spec.namespace ?? '')) continue;
    if (!monitorsOf(config['monitors']).some((monitor) => ours.includes(monitor))) continue;
    throw new RbdsrError('sr-in-use', {
      what: `image ${formatSpec(spec)} belongs to another SR of this pool`,
      found: `PBD ${pbd.uuid}`,
      todo: 'Two SRs on one image destroy each other. Choose another image.',
    });
  }
}

function monitorsOf(text = ''): readonly string[] {
  return text.split(/[\s,]+/).filter((monitor) => monitor !== '');
}
