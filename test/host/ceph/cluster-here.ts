import { Cluster } from '../../../lab/cluster/cluster.ts';
import { RunFolder } from '../../../lab/machine/run-folder.ts';
import { sweepDeadRuns, sweepRun } from '../../../lab/machine/sweep.ts';
import { enterNetwork } from './inside-network.ts';

/** A cluster for the tests of one file, in whose network this process can be. */
export class ClusterHere {
  readonly run: RunFolder;
  readonly cluster: Cluster;
  #leave: (() => void) | undefined;

  private constructor(run: RunFolder, cluster: Cluster) {
    this.run = run;
    this.cluster = cluster;
  }

  static async start(options: Parameters<typeof Cluster.start>[1]): Promise<ClusterHere> {
    await sweepDeadRuns();
    const run = RunFolder.create();
    return new ClusterHere(run, await Cluster.start(run, options));
  }

  enter(): void {
    this.#leave = enterNetwork(this.cluster.network.name);
  }

  /** Nothing, where it was not entered. */
  leave(): void {
    this.#leave?.();
    this.#leave = undefined;
  }

  async end(): Promise<void> {
    this.leave();
    await this.cluster.destroy();
    await sweepRun(this.run.id);
  }
}
