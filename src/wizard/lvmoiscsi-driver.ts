import type { Driver } from '../sm/driver.ts';

/** The stock iSCSI driver's requests whose port is a monitor's: two of them belong to the wizard. */
export const lvmoiscsiDriver: Driver = {
  type: async () => (await import('../access/lvmoiscsi-type.ts')).lvmoiscsiType,
  handlers: {
    sr_probe: async () => (await import('./sr-probe.ts')).handler,
    sr_create: async () => (await import('./sr-create.ts')).handler,
  },
};
