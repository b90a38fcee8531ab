import { openersOf } from '../../../src/system/openers.ts';
import { processFacts } from '../../../src/system/processes.ts';

/** In a process of its own, which a test can kill where it waits for ever. */
const [device = '', pid = ''] = process.argv.slice(2);
process.stdout.write(JSON.stringify({ openers: openersOf(device), facts: processFacts(Number(pid)) }));
