import { withLocalXapi } from '../../access/driver-srs.ts';
import { Deadline } from '../../base/deadline.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import { listFences } from '../../fencing/list-fences.ts';
import { poolStanding } from '../../fencing/pool-standing.ts';
import type { CliCall } from '../cli-call.ts';
import { deadlineMs } from '../deadline-option.ts';
import { jsonText } from '../json.ts';
import { renderTable } from '../table.ts';
import { printLines } from './fence.ts';

/**
 * `rbdsr fences`: whom the clusters of the pool's SRs serve nothing, and until when; since when and by whom of what
 * RBDSR has done. 1 where a cluster could not be asked.
 */
export async function showFences(
  call: CliCall,
  o: { readonly json?: true; readonly deadline?: string },
): Promise<number> {
  const ms = deadlineMs(o.deadline);
  const { fences, unasked } = await withLocalXapi(
    call.root,
    async (xapi, host) => listFences(call.root, await poolStanding(xapi, host), Deadline.after(ms)),
    ms,
  );
  const there = fences.filter(({ until }) => until !== undefined);
  if (o.json === true) {
    const entries = there.map(({ client, cluster, until, note, images }) => ({
      client,
      cluster,
      until,
      ours: note,
      srs: images.map(({ uuid }) => uuid),
    }));
    call.print(jsonText({ fences: entries, notAsked: unasked.map(({ image, why }) => ({ sr: image.uuid, why })) }));
  } else {
    const rows = there.map(({ client, cluster, until = '', note }) =>
      [client, until, note?.since ?? 'not ours', note?.by ?? '', note?.host ?? '', cluster].map(printable),
    );
    call.print(
      rows.length === 0 && unasked.length === 0
        ? 'Nobody is fenced.\n'
        : renderTable(['client', 'until', 'since', 'by', 'host', 'cluster'], rows),
    );
    printLines(
      call,
      unasked.map(({ image, why }) => `Not asked: SR ${image.uuid}: ${why}`),
    );
  }
  return unasked.length === 0 ? 0 : 1;
}
