import { userInfo } from 'node:os';
import { withLocalXapi } from '../access/driver-srs.ts';
import { Deadline } from '../base/deadline.ts';
import { krbdAt } from '../sr/image/krbd-of-host.ts';
import { carryOut, type FenceOutcome } from './carry-out.ts';
import { ipOfClient, chosenHost } from './chosen-host.ts';
import { type FencePlan, type FenceWish, planFence, fenceRefusal } from './fence-plan.ts';
import { lookAtImages } from './look.ts';
import { type PoolHost, poolStanding } from './pool-standing.ts';

/** Whom, and what the operator has said of it. */
export interface FenceRequest extends Omit<FenceWish, 'host'> {
  /** A name, a uuid or an address. */
  readonly host: string;
  readonly dryRun: boolean;
  /** For all of it. */
  readonly ms: number;
}

export interface Fenced {
  readonly plan: FencePlan;
  /** Absent where nothing was done. */
  readonly outcomes?: readonly FenceOutcome[];
}

/**
 * Keeps a host from every image of the pool's SRs. `tells` gets the plan before anything is done. What is against it is
 * thrown: 'sr-in-use' | 'invalid-argument'.
 */
export async function fenceHost(
  root: string,
  { host: text, dryRun, ms, ...wish }: FenceRequest,
  tells: (plan: FencePlan) => void,
): Promise<Fenced> {
  const deadline = Deadline.after(ms);
  const here = addressesHere(root);
  return withLocalXapi(
    root,
    async (xapi, thisHostRef) => {
      const { hosts, images } = await poolStanding(xapi, thisHostRef);
      const own = hosts.find(({ isThis }) => isThis);
      const hereToo = [...new Set([...here, ...(own?.addresses ?? [])])];
      const host = chosenHost(hosts, text, hereToo);
      const { views, unasked } = await lookAtImages(root, images, wish.wholeAddress, deadline.within(ms / 3));
      const plan = planFence({ host, ...wish }, views, unasked, hereToo);
      tells(plan);
      const refusal = fenceRefusal(plan);
      if (refusal !== undefined) throw refusal;
      if (dryRun) return { plan };
      return { plan, outcomes: await carryOut(root, xapi, plan, whoAsks(own), deadline) };
    },
    ms,
  );
}

/** Everything that was asked for is done and proven. */
export function isProven({ plan, outcomes = [] }: Fenced): boolean {
  const { unseen, unasked } = plan;
  const all = outcomes.every(({ proof, problem }) => problem === undefined && proof?.silent.length === 0);
  return all && unseen.length === 0 && unasked.length === 0;
}

/** By which addresses clusters know this host: those of its mappings. */
export function addressesHere(root: string): readonly string[] {
  const clients = krbdAt(root)
    .list()
    .flatMap(({ clientAddress }) => clientAddress ?? []);
  return [...new Set(clients.map(ipOfClient))].filter((address) => address !== '');
}

/** "root on alpha". */
function whoAsks(host: PoolHost | undefined): string {
  const user = process.env['SUDO_USER'] ?? userInfo().username;
  return host === undefined ? user : `${user} on ${host.name}`;
}
