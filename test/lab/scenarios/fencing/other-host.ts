import type { Outcome } from '../../../../lab/machine/program.ts';
import { DRIVER } from '../../../../lab/hosts/install.ts';
import { type Row, stringOf } from '../../../../lab/xapi-double/database.ts';
import type { Lab } from '../../scenario.ts';

/** The pool's second host as the one that is to be fenced, by commands on the first. */
export class OtherHost {
  readonly #lab: Lab;
  readonly #interfaces: readonly Row[];

  /** From here on xapi knows every host's address in the network of the cluster. */
  constructor(lab: Lab) {
    this.#lab = lab;
    const { double, hosts } = lab();
    this.#interfaces = hosts.map((host, index) => {
      const there = host.links?.cluster.there ?? '';
      return double.db.create('PIF', { host: lab().hostRef(index), device: 'eth1', IP: there });
    });
  }

  /** What xapi knows of it. */
  set live(is: boolean) {
    const { db } = this.#lab().double;
    const row = db.get('host', this.#lab().hostRef(1));
    db.get('host_metrics', stringOf(row, 'metrics')).fields['live'] = is;
  }

  rbdsr(...args: readonly string[]): Promise<Outcome> {
    return this.#lab()
      .host(0)
      .exec([DRIVER, ...args], { timeoutMs: 300_000 });
  }

  /** Its PBD of an SR: a reference. */
  plug(sr: string): string {
    const { db } = this.#lab().double;
    return db.where('PBD', 'SR', sr).find(({ fields }) => fields['host'] === this.#lab().hostRef(1))?.ref ?? '';
  }

  /** Afterwards everything is as it was, and nobody is fenced. */
  async end(): Promise<void> {
    this.live = true;
    for (const { ref } of this.#interfaces) this.#lab().double.db.destroy('PIF', ref);
    await this.#lab().cluster.tool('ceph', 'osd', 'blocklist', 'clear');
  }
}
