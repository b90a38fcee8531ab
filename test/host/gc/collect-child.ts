import { openSrOn } from '../../support/lvhd-vectors.ts';
import { collect } from '../../../src/gc/collect.ts';
import { recoverJournals } from '../../../src/lvhd/journal/recover.ts';
import { worldOf } from './vector-world.ts';

/** One collection on the SR of a device, as the master's next one would be; the test kills it at a fault point. */
const [device = '', srId = '', activeOn = ''] = process.argv.slice(2);
await using sr = await openSrOn(device, srId);
await recoverJournals({ ...sr, refreshElsewhere: async () => undefined }, await sr.report());
const active = activeOn === '' ? [] : activeOn.split(',');
const { done, failed } = await collect(worldOf(sr, active), (line) => process.stdout.write(`begins ${line}\n`));
for (const line of done) process.stdout.write(`done ${line}\n`);
for (const line of failed) process.stdout.write(`failed ${line}\n`);
