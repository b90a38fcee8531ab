import { formatBytes } from '../../../base/units.ts';
import type { SrFinding } from '../../../picture/fsck/finding.ts';
import { type ChainNode, nodesOf } from '../../../picture/forest.ts';
import { usesOfDisk } from '../../../picture/in-use.ts';
import type { Picture } from '../../../picture/picture.ts';
import { imageText, missingLines, poolText, roomText } from '../facts.ts';
import { verdict } from '../fsck-text.ts';
import { labelOfNode } from '../tree-text.ts';
import { apart, html, type Html, namedText } from './escape.ts';

export function healthSection(picture: Picture, findings: readonly SrFinding[]): Html {
  return html`<h2>Health</h2>
<p>${verdict(picture, findings)}</p>
${missingLines(picture).map(
  (line) => html`<p class="finding"><strong>not known</strong> ${namedText(line)}</p>
`,
)}${findings.map(findingHtml)}`;
}

function findingHtml({ severity, code, where, name, what, means, todo }: SrFinding): Html {
  return html`<div class="finding ${severity}"><p><strong>${severity}</strong> ${namedText(where)} ${name === undefined ? '' : namedText(name)} <span class="dim">${code}</span></p>
<p>${namedText(what)}</p><p>${namedText(means)}</p><p>${namedText(todo)}</p></div>
`;
}

/** Of the volume group: disks, base copies, what else lies there, and what is free. */
export function roomSection(picture: Picture, forest: readonly ChainNode[]): Html {
  const { disks } = picture;
  if (disks === undefined) return html``;
  const { sizeBytes, freeBytes } = disks.vg;
  const nodes = [...nodesOf(forest)].map(({ node }) => node);
  const sum = (hidden: boolean): number =>
    nodes.filter((node) => node.hidden === hidden).reduce((bytes, { lvSizeBytes }) => bytes + lvSizeBytes, 0);
  const [shownDisks, copies] = [sum(false), sum(true)];
  const rest = Math.max(0, sizeBytes - freeBytes - shownDisks - copies);
  const share = (bytes: number): string => `${sizeBytes === 0 ? 0 : Math.round((bytes / sizeBytes) * 1000) / 10}%`;
  return html`<h2>Room</h2>
<div class="bar"><i class="disks" style="width:${share(shownDisks)}"></i><i class="copies" style="width:${share(copies)}"></i><i class="rest" style="width:${share(rest)}"></i></div>
<p>${roomText(picture)}. Disks and snapshots take ${formatBytes(shownDisks)}, base copies ${formatBytes(copies)}, the rest ${formatBytes(rest)}.</p>
`;
}

export function useSection(picture: Picture, forest: readonly ChainNode[]): Html {
  const rows = [...nodesOf(forest)].flatMap((chain) =>
    usesOfDisk(picture, chain.node).map(({ text }) => [
      apart(labelOfNode(chain)),
      namedText(chain.node.uuid),
      namedText(text),
    ]),
  );
  const none = picture.xapi === undefined ? 'Nothing is in use on this host.' : 'Nothing is in use.';
  if (picture.place.kind === 'device') return html``;
  return html`<h2>In use</h2>
${rows.length === 0 ? html`<p>${none}</p>` : htmlTable(['disk', 'uuid', 'where'], rows)}
`;
}

export function hostsSection({ xapi }: Picture): Html {
  if (xapi === undefined) return html``;
  const rows = xapi.hosts.map(({ name, uuid, plugged, isThis, isMaster }) => {
    const also = [isThis ? 'this host' : '', isMaster ? 'pool master' : ''].filter((text) => text !== '').join(', ');
    return [namedText(name), namedText(uuid), html`${plugged ? 'plugged' : 'not plugged'}`, html`${also}`];
  });
  return html`<h2>Hosts</h2>
${htmlTable(['host', 'uuid', 'SR', ''], rows)}
`;
}

export function keysSection({ xapi, host }: Picture): Html {
  if (xapi === undefined && host === undefined) return html``;
  const rows: [string, string][] = [];
  if (xapi?.keys.user !== undefined) rows.push(['cephx user', `client.${xapi.keys.user}`]);
  for (const user of xapi?.keys.formerUsers ?? []) rows.push(['used before, not removed yet', `client.${user}`]);
  if (xapi?.keys.monitors !== undefined) rows.push(['monitors that the SR keeps', xapi.keys.monitors]);
  if (host?.keyFileUsers !== undefined) rows.push(["this host's key file, for HA", host.keyFileUsers.join(', ')]);
  if (rows.length === 0) return html``;
  return html`<h2>Keys</h2>
${htmlTable(
  ['', ''],
  rows.map(([name, value]) => [html`${name}`, namedText(value)]),
)}
`;
}

export function mappingsSection({ host }: Picture): Html {
  if (host === undefined) return html``;
  const rows = host.mappings.map((mapping) => [
    namedText(mapping.device),
    namedText(mapping.image),
    html`${formatBytes(mapping.sizeBytes)}`,
    namedText(mapping.fsid ?? 'unknown'),
    namedText(mapping.user === undefined ? 'unknown' : `client.${mapping.user}`),
    namedText([mapping.clientId, mapping.clientAddress].filter((text) => text !== undefined).join(' ')),
    namedText(mapping.inUseBy ?? 'nobody'),
  ]);
  return html`<h2>Mappings on this host</h2>
${htmlTable(['device', 'image', 'size', 'cluster', 'user', 'client', 'in use by'], rows)}
`;
}

/** The clients that have the image open: a host each that has it mapped, and whoever else. */
export function watchersSection(picture: Picture): Html {
  const { cluster, host, missing } = picture;
  const why = missing.find(({ part }) => part === 'cluster')?.why;
  if (cluster === undefined) {
    return why === undefined ? html`` : html`<h2>Watchers</h2><p>Not known: ${namedText(why)}</p>`;
  }
  const rows = cluster.watchers.map(({ address, client }) => {
    const own = host?.mappings.find(({ clientId }) => clientId === `client${client}`);
    return [
      namedText(`client.${client}`),
      namedText(address),
      namedText(own === undefined ? '' : `this host, ${own.device}`),
    ];
  });
  return html`<h2>Watchers</h2>
${rows.length === 0 ? html`<p>Nobody has the image open.</p>` : htmlTable(['client', 'address', ''], rows)}
${aboutImage(picture)}${cluster.held === undefined ? html`` : html`<p>Ceph holds ${formatBytes(cluster.held.imageBytes)} of the image, times the copies of its pool.</p>`}
`;
}

function aboutImage(picture: Picture): Html {
  const [image, pool] = [imageText(picture), poolText(picture)];
  if (image === undefined || pool === undefined) return html``;
  return html`<p>The image: ${namedText(image)}. Its pool: ${namedText(pool)}.</p>
`;
}

export function htmlTable(head: readonly string[], rows: readonly (readonly Html[])[]): Html {
  const top = head.every((cell) => cell === '') ? html`` : html`<tr>${head.map((cell) => html`<th>${cell}</th>`)}</tr>`;
  return html`<div class="table"><table>${top}${rows.map(
    (row) => html`<tr>${row.map((cell) => html`<td>${cell}</td>`)}</tr>
`,
  )}</table></div>`;
}
