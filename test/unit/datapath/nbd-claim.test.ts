import { describe, expect, test } from 'vitest';
import { claimNbd, describeNbd, NBD, type NbdKernel } from '../../../src/datapath/nbd/nbd-claim.ts';

/**
 * Devices as Linux `drivers/block/nbd.c` keeps them, seen by one of several clients: the first to set a socket is the
 * one that sets the device up (`task_setup`), every other one's socket is EBUSY; one that netlink controls takes no
 * ioctl but CLEAR_SOCK and DISCONNECT (EINVAL); all the rest is open to whoever has the node open.
 */
class NbdModule {
  readonly devices: Record<string, { owner?: string; netlink?: true; pid?: number; blocks?: number; socket?: number }>;
  readonly #open = new Map<number, string>();
  #next = 10;

  constructor(devices: NbdModule['devices']) {
    this.devices = devices;
  }

  get openCount(): number {
    return this.#open.size;
  }

  client(owner: string): NbdKernel {
    return {
      hasClient: (name) => this.devices[name]?.pid !== undefined,
      open: (name) => {
        if (this.devices[name] === undefined) throw errno('ENXIO');
        this.#open.set(this.#next, name);
        return this.#next++;
      },
      ioctl: (fd, request, argument) => {
        const device = this.devices[this.#open.get(fd) ?? ''];
        if (device === undefined) throw errno('EBADF');
        if (device.netlink === true && request !== NBD.clearSocket) throw errno('EINVAL');
        if (request === NBD.setSizeBlocks) device.blocks = argument;
        if (request !== NBD.setSocket) return;
        if (device.owner !== undefined && device.owner !== owner) throw errno('EBUSY');
        Object.assign(device, { owner, socket: argument });
      },
      close: (fd) => this.#open.delete(fd),
    };
  }
}

function errno(code: string): Error {
  return Object.assign(new Error(code), { code });
}

describe('an NBD device', () => {
  const names = ['nbd10', 'nbd2', 'nbd1', 'nbd0'];

  test('is the first that nobody serves or sets up; those of others stay as they are', () => {
    const others = {
      nbd0: { owner: 'served', pid: 7, blocks: 1, socket: 1 },
      nbd1: { owner: 'being set up', blocks: 2, socket: 2 },
      nbd2: { netlink: true, blocks: 3, socket: 3 },
    } as const;
    const module = new NbdModule({ ...structuredClone(others), nbd10: {} });
    const kernel = module.client('us');
    const claim = claimNbd(kernel, names, 44);
    expect(claim?.name).toBe('nbd10');
    describeNbd(kernel, claim?.fd ?? -1, { size: 1_048_577, flags: 1, release: '6.1.0' });
    expect(module.devices).toEqual({ ...others, nbd10: { owner: 'us', socket: 44, blocks: 2048 } });
    expect(module.openCount).toBe(1);
  });

  test('of two clients that both saw it free is that of the first', () => {
    const module = new NbdModule({ nbd0: {}, nbd1: {} });
    const us = module.client('us');
    const seenFree: NbdKernel = {
      ...us,
      open: (name) => {
        const fd = us.open(name);
        if (name === 'nbd0') claimNbd(module.client('them'), ['nbd0'], 9);
        return fd;
      },
    };
    expect(claimNbd(seenFree, ['nbd0', 'nbd1'], 44)?.name).toBe('nbd1');
    expect(module.devices['nbd0']).toEqual({ owner: 'them', socket: 9 });
  });

  test('is none where others have them all', () => {
    const module = new NbdModule({ nbd0: { owner: 'them' }, nbd1: { pid: 3 } });
    expect(claimNbd(module.client('us'), ['nbd0', 'nbd1'], 44)).toBeUndefined();
    expect(module.openCount).toBe(0);
  });

  test('that fails for another reason is an error', () => {
    const module = new NbdModule({ nbd0: {} });
    const broken: NbdKernel = {
      ...module.client('us'),
      ioctl: () => {
        throw errno('EPERM');
      },
    };
    expect(() => claimNbd(broken, ['nbd0'], 44)).toThrow('EPERM');
    expect(module.openCount).toBe(0);
  });
});

test.each([
  ['3.10.0', false],
  ['4.4.0+10', false],
  ['4.9.0', true],
  ['4.19.0+1', true],
  ['5.3.18', true],
  ['5.4.0', false],
  ['6.6.100', false],
])('Linux %s: a request is given a day to be answered: %j', (release, limited) => {
  const calls: [number, number][] = [];
  describeNbd({ ioctl: (_fd, request, argument) => void calls.push([request, argument]) }, 3, {
    size: 4096,
    flags: 0,
    release,
  });
  expect(calls.filter(([request]) => request === NBD.setTimeout)).toEqual(limited ? [[NBD.setTimeout, 86_400]] : []);
  expect(calls.map(([request]) => request)).toEqual(expect.arrayContaining([NBD.setSizeBlocks, NBD.setFlags]));
});
