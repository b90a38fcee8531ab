import type { BlockIo } from '../base/block-io.ts';
import { RbdsrError } from '../base/error.ts';
import { MiB } from '../base/units.ts';
import { readPvLabel } from '../lvm/lvm-label.ts';
import { srOfVg } from '../lvhd/names.ts';
import type { Handler, SmCall } from '../sm/handler.ts';
import { type ProbeElement, xmlDocument } from '../sm/protocol/probe-xml.ts';
import { textReply } from '../sm/protocol/reply.ts';
import { imageSpecOf } from '../sr/config/sr-type.ts';
import { discover } from './discover.ts';
import { DivertedConfig } from '../access/diverted-config.ts';

/**
 * The wizard's first three steps: pools, images, and whether the image holds an SR already. Over SSH the monitor reads
 * the beginning of the image, so that nothing is mapped, no user is made, and a probe leaves no trace; a cephx user
 * that was typed in its place has to map.
 */
export const handler: Handler = async (call) => {
  const config = new DivertedConfig(call.request.deviceConfig);
  const { step, ssh, cephx } = config.wizard;
  if (step !== 'chosen') return discover(call, config);
  if (ssh === undefined && cephx !== undefined) return (await import('../sm/handlers/sr-probe.ts')).handler(call);
  return textReply(xmlDocument('SRlist', await srOnImage(call, config)));
};

/** The label of a physical volume and the head of its metadata area, and in a young volume group the metadata too. */
const HEAD_BYTES = MiB;
/**
 * More than any metadata area of an SR: whatever points further is damaged, or no SR's. The monitor reads all that lies
 * before.
 */
const AREA_BYTES = 64 * MiB;

async function srOnImage(call: SmCall, config: DivertedConfig): Promise<readonly ProbeElement[]> {
  const spec = imageSpecOf(config);
  const host = await config.monitorHost(call);
  call.waiting('the monitor to read the beginning of the image');
  const read = (offset: number, length: number): Promise<Buffer> =>
    host.readRange(spec, { offset, length }, call.deadline);
  const label = await readPvLabel(readOnly(await read(0, HEAD_BYTES), read));
  if (label?.vgName === undefined) return [];
  const uuid = srOfVg(label.vgName);
  if (uuid === undefined) return [];
  return [
    [
      'SR',
      [
        ['UUID', uuid],
        ['Devlist', `${spec.pool}/${spec.image}`],
        ['size', String(label.deviceBytes)],
      ],
    ],
  ];
}

/** LVM writes its metadata round and round in an area of many MiB: what is not in `head` is read when it is wanted. */
function readOnly(head: Buffer, beyond: (offset: number, length: number) => Promise<Buffer>): BlockIo {
  const refuse = async (): Promise<never> => {
    throw new RbdsrError('internal', { what: 'a probe writes nothing' });
  };
  return {
    name: 'the beginning of the image',
    size: head.length < HEAD_BYTES ? head.length : AREA_BYTES,
    read: async (offset, length) => {
      const isInHead = offset + length <= head.length || head.length < HEAD_BYTES;
      return isInHead ? head.subarray(offset, offset + length) : beyond(offset, length);
    },
    write: refuse,
    flush: refuse,
    close: async () => {},
  };
}
