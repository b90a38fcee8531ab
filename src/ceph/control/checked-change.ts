import { RbdsrError } from '../../base/error.ts';
import { formatBytes } from '../../base/units.ts';
import { formatSpec, type ImageSpec } from '../image/image-spec.ts';
import { isObjectBytes, OBJECT_BYTES } from '../image/object-bytes.ts';
import type { ImageLayout } from './control-plane.ts';

/** Without a nonce the whole host would be fenced, the clients of its other SRs included. */
export function checkedClient(address: string): string {
  if (/^[0-9a-fA-F.:[\]]+\/[0-9]+$/.test(address)) return address;
  throw new RbdsrError('invalid-argument', {
    what: 'this is not the address of one client',
    expected: 'ADDRESS:PORT/NONCE, as `rbd status` prints it',
    found: JSON.stringify(address.slice(0, 80)),
  });
}

/** 'invalid-argument' where objects of an image cannot be so large. */
export function checkedLayout(layout: ImageLayout): ImageLayout {
  const { objectBytes: bytes } = layout;
  if (bytes === undefined || isObjectBytes(bytes)) return layout;
  throw new RbdsrError('invalid-argument', {
    what: 'the objects of an image cannot be of this size',
    expected: OBJECT_BYTES,
    found: `${bytes} bytes`,
  });
}

/** 'invalid-argument' where the image is larger already. */
export function refuseToShrink(spec: ImageSpec, found: number, wanted: number): void {
  if (found <= wanted) return;
  throw new RbdsrError('invalid-argument', {
    what: `image ${formatSpec(spec)} would shrink`,
    expected: `at least its size of now, ${formatBytes(found)}`,
    found: formatBytes(wanted),
  });
}
