import type { Host } from '../hosts/host.ts';
import type { Fault } from './fault.ts';

/**
 * No program and no kernel of the host gets to say goodbye; what was not flushed is gone. Ends with the host on again.
 */
export function powerCut(host: Host): Fault {
  return { what: `${host.name} has no power`, begin: () => host.powerCut(), end: () => switchedOn(host) };
}

/** The host switches itself off, as `poweroff -f` does. Ends with the host on again. */
export function poweredOff(host: Host): Fault {
  return { what: `${host.name} is off`, begin: () => host.powerOff(), end: () => switchedOn(host) };
}

async function switchedOn(host: Host): Promise<void> {
  if (!host.isOn) await host.powerOn();
}

/** The host stops where it is, as a machine that swaps or a virtual one that is migrated; nobody is told. */
export function frozen(host: Host): Fault {
  return {
    what: `${host.name} is frozen`,
    begin: () => host.freeze(),
    end: () => host.thaw(),
  };
}

/**
 * The host's clock is that many seconds ahead (behind, if negative) of this machine's. Ends with this machine's time.
 */
export function clockOff(host: Host, seconds: number): Fault {
  const set = async (ahead: number): Promise<void> => {
    await host.check(['date', '-u', '-s', `@${Math.round(Date.now() / 1000) + ahead}`]);
  };
  return { what: `the clock of ${host.name} is ${seconds} s off`, begin: () => set(seconds), end: () => set(0) };
}
