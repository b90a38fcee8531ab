import type { ExecOptions, HostLink, RawOutcome } from '../hosts/agent-link.ts';
import type { Guest, GuestOptions } from '../hosts/guest.ts';
import { Host } from '../hosts/host.ts';
import type { Links } from '../hosts/links.ts';
import type { Need } from '../hosts/needs.ts';
import { PvGuest } from '../xen-host/guest.ts';
import { ask } from './ask.ts';
import type { DoorOutcome, HostDescription, PowerChange } from './requests.ts';

/** A host of a lab that another process keeps up. */
export class JoinedHost extends Host {
  readonly address: string;
  readonly consoleLog: string;
  readonly deadline: number;
  readonly links: Links | undefined;
  protected readonly link: HostLink;
  readonly #door: string;
  readonly #has: readonly Need[];
  #isOn: boolean;

  constructor(door: string, o: HostDescription) {
    super(o.name, o.uuid);
    this.address = o.address;
    this.consoleLog = o.consoleLog;
    this.deadline = o.deadline;
    this.links = o.links;
    this.#door = door;
    this.#has = o.has;
    this.#isOn = o.isOn;
    this.link = { exec: (argv, options) => execBehind(door, o.name, argv, options) };
  }

  get isOn(): boolean {
    return this.#isOn;
  }

  has(need: Need): boolean {
    return this.#has.includes(need);
  }

  startGuest(o: GuestOptions): Promise<Guest> {
    if (this.has('a guest')) return PvGuest.start(this, o);
    return Promise.reject(new Error(`${this.name} has no Xen for a guest: see lab/hosts/needs.ts`));
  }

  powerCut(): Promise<void> {
    return this.#change('powerCut', false);
  }

  override powerOff(): Promise<void> {
    return this.#change('powerOff', false);
  }

  powerOn(): Promise<void> {
    return this.#change('powerOn', true);
  }

  freeze(): Promise<void> {
    return this.#change('freeze');
  }

  thaw(): Promise<void> {
    return this.#change('thaw');
  }

  async #change(does: PowerChange, isOn = this.#isOn): Promise<void> {
    await ask(this.#door, { ask: 'power', host: this.name, does });
    this.#isOn = isOn;
  }
}

async function execBehind(
  door: string,
  host: string,
  argv: readonly string[],
  o: ExecOptions = {},
): Promise<RawOutcome> {
  const { stdin = '', env = {}, timeoutMs = 120_000 } = o;
  const given = Buffer.from(stdin).toString('base64');
  const outcome = await ask<DoorOutcome>(door, { ask: 'exec', host, argv, stdin: given, env, timeoutMs });
  const [stdout, stderr] = [Buffer.from(outcome.stdout, 'base64'), Buffer.from(outcome.stderr, 'base64')];
  return { code: outcome.code, stdout, stderr };
}
