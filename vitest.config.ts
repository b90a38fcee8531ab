import { defineConfig } from 'vitest/config';

/** They take down runs of the lab that have died, wherever these come from: each of them alone. */
const SWEEPING = ['test/host/lab/interrupted-lab.test.ts', 'test/host/lab/run-guard.test.ts'];

/** The lab that is kept up is one, for one run and one file at a time: the first has all scenarios then. */
const BESIDE_A_KEPT_LAB = process.env['RBDSR_LAB'] === undefined ? [] : ['test/lab/pool-2.test.ts'];

/** The first test that wants the built product builds it, for all. */
const SHARED_PRODUCT = 'test/support/shared-product-setup.ts';

/**
 * Three places to run a test, cheapest first (docs/architecture.md, "Where a test runs"): unit: pure or one process;
 * host and histories: real LVM, real Ceph and loop devices on this machine; lab and xen: whole hosts.
 */
export default defineConfig({
  test: {
    // The machines that run this have few cores, and most test files start programs of their own.
    maxWorkers: 2,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          globalSetup: SHARED_PRODUCT,
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'host',
          include: ['test/host/**/*.test.ts'],
          exclude: SWEEPING,
          globalSetup: SHARED_PRODUCT,
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        test: {
          name: 'sweep',
          include: SWEEPING,
          fileParallelism: false,
          sequence: { groupOrder: 1 },
          testTimeout: 120_000,
          hookTimeout: 180_000,
        },
      },
      {
        // Random stories on real LVM, and faults that they find.
        test: {
          name: 'histories',
          include: ['test/histories/**/*.test.ts'],
          globalSetup: SHARED_PRODUCT,
          hookTimeout: 180_000,
        },
      },
      {
        // Two pools beside each other.
        test: {
          name: 'lab',
          include: ['test/lab/**/*.test.ts'],
          exclude: ['test/lab/xen.test.ts', ...BESIDE_A_KEPT_LAB],
          testTimeout: 300_000,
          hookTimeout: 300_000,
        },
      },
      {
        // Emulation takes every processor there is, so it comes when the others have done.
        test: {
          name: 'xen',
          include: ['test/lab/xen.test.ts'],
          sequence: { groupOrder: 1 },
          testTimeout: 600_000,
          hookTimeout: 900_000,
        },
      },
    ],
  },
});
