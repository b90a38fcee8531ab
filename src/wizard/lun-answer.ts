import { RbdsrError } from '../base/error.ts';
import { printable } from '../ceph/image/image-spec.ts';
import { xmlDocument } from '../sm/protocol/probe-xml.ts';
import { selectable } from './selectable.ts';
import { besides, type WizardAnswer, wizardAnswer } from './wizard-answer.ts';

/**
 * The images of a pool, as LUNs: SM error 107 with the list that XenCenter and Xen Orchestra read. Both show the
 * serial, so it is the image's name; SCSIid is what they send back. 'image-missing' where there is none, as in
 * iqn-answer.ts.
 */
export function lunAnswer(
  pool: string,
  images: readonly { readonly name: string; readonly sizeBytes: number }[],
): WizardAnswer {
  const { shown, leftOut } = selectable('image', images);
  if (shown.length === 0) {
    throw new RbdsrError('image-missing', {
      what: `pool ${printable(pool)} has no image`,
      found: `${images.length} images${besides(leftOut)}`,
      todo: `Make one on a monitor: \`rbd create --size 1T --image-feature layering ${printable(pool)}/NAME\`.`,
    });
  }
  const xml = xmlDocument(
    'iscsi-target',
    shown.map(({ name, sizeBytes }, index) => [
      'LUN',
      [
        ['vendor', 'RADOS'],
        ['serial', name],
        ['LUNid', String(index)],
        ['size', String(sizeBytes)],
        ['SCSIid', name],
      ],
    ]),
  );
  return wizardAnswer(107, `Choose an image as the LUN: ${shown.length} are listed${besides(leftOut)}`, xml, leftOut);
}
