import { DEVICE_CONFIG_KEYS } from '../../sr/config/driver-config-keys.ts';
import type { Handler } from '../handler.ts';
import { structReply } from '../protocol/reply.ts';

/**
 * What xapi records of a driver when it starts. Members in the order the stock drivers have; only capabilities that
 * work are named.
 */
export const handler: Handler = async ({ profile }) =>
  structReply({
    name: 'RBD',
    description: 'SR plug-in which keeps disks as LVHD volumes on a Ceph RBD image mapped by the kernel',
    vendor: 'RBDSR',
    copyright: 'LGPL-2.1-only',
    driver_version: '1.0',
    required_api_version: '1.0',
    capabilities: profile.capabilities,
    configuration: Object.entries(DEVICE_CONFIG_KEYS).map(([key, description]) => ({ key, description })),
  });
