import { RbdsrError } from '../../base/error.ts';
import { isUuid } from '../../base/ids.ts';
import { Secret } from '../../base/secret.ts';
import { parseUser } from '../../ceph/cluster/access.ts';
import { printable } from '../../ceph/image/image-spec.ts';
import type { ImageLayout } from '../../ceph/control/control-plane.ts';
import { type MapOption, parseMapOptions } from '../../ceph/krbd/map-options.ts';
import { type MonitorAddress, parseMonitors } from '../../ceph/cluster/monitors.ts';
import { isObjectBytes, OBJECT_BYTES } from '../../ceph/image/object-bytes.ts';
import { parseSize } from '../../ceph/image/size-text.ts';
import { aboutKey } from './about-key.ts';
import { choiceOfRbd, type ImageChoice } from './image-choice.ts';
import { DEVICE_CONFIG_KEYS } from './driver-config-keys.ts';
import type { StringMap } from '../../xapi/values.ts';

/** device-config of SR type `rbd`, checked. */
export interface DeviceConfig extends ImageChoice {
  /** As written, for what parses it again. */
  readonly monitorsText: string;
  readonly monitors: readonly MonitorAddress[];
  /** Without `client.`. */
  readonly user: string;
  readonly key: KeySource;
  /** Makes the image in sr_create when it is absent. */
  readonly sizeBytes?: number;
  /** Of the image that is made. */
  readonly layout?: ImageLayout;
  readonly options: readonly MapOption[];
  readonly allocation: 'thick' | 'thin';
}

export type KeySource =
  | { readonly kind: 'secret'; readonly uuid: string }
  | { readonly kind: 'key'; readonly key: Secret }
  | { readonly kind: 'keyring'; readonly path: string };

type Key = keyof typeof DEVICE_CONFIG_KEYS;

/** xapi and its clients add these to any SR's device_config; they mean nothing here. */
const IGNORED: readonly string[] = ['multipathing', 'multipathhandle'];

/**
 * Checks everything that is there; what a command needs beyond monitors and a key is asked of `imageSpecOf`
 * (`sr-type.ts`). An empty value counts as absent. Throws 'config-missing' or 'config-invalid' that names the key; a
 * secret's value never shows. An unknown key is refused: it is a mistyped one, and ignoring it would do something else
 * than was asked for.
 */
export function parseDeviceConfig(record: StringMap): DeviceConfig {
  for (const key of Object.keys(record)) {
    if (!Object.hasOwn(DEVICE_CONFIG_KEYS, key) && !IGNORED.includes(key)) throw unknownKey(key);
  }
  const get = (key: Key): string | undefined => (record[key] === '' ? undefined : record[key]);
  const { monitors: _text, ...choice } = choiceOfRbd(record);
  const size = get('size');
  const monitorsText = get('monitors') ?? missing('monitors', 'the cluster cannot be found');
  return {
    monitorsText,
    monitors: aboutKey('monitors', () => parseMonitors(monitorsText)),
    user: aboutKey('user', () => parseUser(get('user') ?? 'admin')),
    key: keySource(get),
    ...choice,
    ...(size === undefined ? {} : { sizeBytes: aboutKey('size', () => parseSize(size)) }),
    ...layoutOf(get('data_pool'), get('object_size')),
    options: aboutKey('options', () => parseMapOptions(get('options') ?? '')),
    allocation: allocation(get('allocation') ?? 'thick'),
  };
}

function keySource(get: (key: Key) => string | undefined): KeySource {
  const given = (['password_secret', 'password', 'keyring'] as const).filter((key) => get(key) !== undefined);
  const [key, another] = given;
  if (key === undefined) return missing('password', 'password_secret or keyring may stand in its place');
  if (another !== undefined) {
    throw invalid(`device-config has ${given.join(' and ')}`, 'one of password, password_secret and keyring');
  }
  const value = get(key) ?? '';
  if (key === 'password') return { kind: 'key', key: new Secret(value) };
  if (key === 'password_secret') {
    if (isUuid(value)) return { kind: 'secret', uuid: value };
    // Somebody may have put the key itself here: only its length is told.
    throw invalid('device-config password_secret is not the uuid of a secret', 'a uuid', `${value.length} characters`);
  }
  if (/^\/[^\0]+$/.test(value)) return { kind: 'keyring', path: value };
  throw invalid('device-config keyring is not a path', 'an absolute path', JSON.stringify(value.slice(0, 120)));
}

/** Counts where the image is made; given for one that is there, it says nothing about it. */
function layoutOf(dataPool: string | undefined, objectSize: string | undefined): Pick<DeviceConfig, 'layout'> {
  if (dataPool === undefined && objectSize === undefined) return {};
  return {
    layout: {
      ...(dataPool === undefined ? {} : { dataPool }),
      ...(objectSize === undefined ? {} : { objectBytes: objectBytes(objectSize) }),
    },
  };
}

function objectBytes(text: string): number {
  const bytes = aboutKey('object_size', () => parseSize(text));
  if (isObjectBytes(bytes)) return bytes;
  throw invalid('device-config object_size is no size of objects', OBJECT_BYTES, JSON.stringify(text));
}

function allocation(value: string): 'thick' | 'thin' {
  if (value === 'thick' || value === 'thin') return value;
  throw invalid('device-config allocation is not known', 'thick or thin', JSON.stringify(value.slice(0, 80)));
}

function missing(key: Key, why: string): never {
  throw new RbdsrError('config-missing', {
    what: `device-config ${key} is missing (${why})`,
    expected: DEVICE_CONFIG_KEYS[key],
  });
}

function invalid(what: string, expected: string, found?: string): RbdsrError {
  return new RbdsrError('config-invalid', { what, expected, ...(found === undefined ? {} : { found }) });
}

function unknownKey(key: string): RbdsrError {
  return invalid(
    'device-config has a key that SR type rbd does not know',
    `only ${Object.keys(DEVICE_CONFIG_KEYS).join(', ')}`,
    `"${printable(key.slice(0, 80))}"`,
  );
}
