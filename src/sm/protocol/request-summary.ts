import type { SmRequest } from './request.ts';

/** One request as one line of a log: which command on what, and the names, never the values, of its device_config. */
export function summarise(request: SmRequest): string {
  const parts = [request.command];
  if (request.srUuid !== undefined) parts.push(`sr=${request.srUuid}`);
  if (request.vdiUuid !== undefined) parts.push(`vdi=${request.vdiUuid}`);
  if (request.command !== 'vdi_create' && request.args.length > 0)
    parts.push(`args=${JSON.stringify(request.args).slice(0, 200)}`);
  if (request.srMaster) parts.push('master');
  const keys = Object.keys(request.deviceConfig).map((key) => key.slice(0, 64).replaceAll(/[^\w.-]/g, '?'));
  if (keys.length > 0) parts.push(`device_config=[${keys.slice(0, 30).join(' ')}]`);
  return parts.join(' ');
}
