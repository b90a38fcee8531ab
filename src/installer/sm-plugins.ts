import { readdirSync } from 'node:fs';
import { configurationText } from './changes/configuration-text.ts';
import type { Host } from './host.ts';

/** Sorts behind what anybody else is likely to choose: xapi takes the last definition. */
export const SM_PLUGINS_FILE = '/etc/xapi.conf.d/zzzz-rbdsr.conf';

/** The SR types xapi accepts, and which file says so. */
export interface SmPlugins {
  readonly types: readonly string[];
  /** Undefined for the list built into xapi. */
  readonly file?: string;
}

/**
 * What xapi would accept without our file. It reads /etc/xapi.conf, then every file of /etc/xapi.conf.d by name,
 * whatever its suffix, and each definition replaces the one before (xen-api, `Xcp_service` and xapi's man page).
 * Undefined where xapi has no such list.
 */
export function smPluginsWithoutOurs(host: Host): SmPlugins | undefined {
  const { defaultSmPlugins } = host.version;
  if (defaultSmPlugins === undefined) return undefined;
  return lastDefinition(host, (file) => file !== SM_PLUGINS_FILE) ?? { types: defaultSmPlugins };
}

/** The file whose definition wins now. */
export function smPluginsFileInForce(host: Host): string | undefined {
  return lastDefinition(host, () => true)?.file;
}

function lastDefinition(host: Host, counts: (file: string) => boolean): SmPlugins | undefined {
  return configurationFiles(host)
    .filter(counts)
    .flatMap((file) => {
      const types = parseSmPlugins(configurationText(host, file));
      return types === undefined ? [] : [{ types, file }];
    })
    .at(-1);
}

function configurationFiles(host: Host): readonly string[] {
  const folder = '/etc/xapi.conf.d';
  const entries = host.has(folder) ? readdirSync(host.at(folder), { withFileTypes: true }) : [];
  const names = entries.filter((entry) => !entry.isDirectory()).map(({ name }) => name);
  return ['/etc/xapi.conf', ...names.sort(byBytes).map((name) => `${folder}/${name}`)];
}

/** The last `sm-plugins = a b c` of a file; `#` starts a comment, and the value may be quoted. */
export function parseSmPlugins(text: string): readonly string[] | undefined {
  let types: readonly string[] | undefined;
  for (const line of text.split('\n')) {
    const [, value] = /^\s*sm-plugins\s*=\s*(.*)$/.exec(line.replace(/#.*/, '')) ?? [];
    if (value !== undefined)
      types = value
        .replace(/^\s*(['"])(.*)\1\s*$/, '$2')
        .split(/\s+/)
        .filter((type) => type !== '');
  }
  return types;
}

/** xapi compares without regard to case, and takes everything where the list is `*`. */
export function accepts(plugins: SmPlugins, type: string): boolean {
  return plugins.types.some((accepted) => accepted === '*' || accepted.toLowerCase() === type);
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b));
}
