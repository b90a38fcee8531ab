import { runPlugin } from '../sm/plugin/run-plugin.ts';
import { version } from './version.ts';
import { answerOneCall } from './worker.ts';

// The worker of one call of the host plug-in, /etc/xapi.d/plugins/rbdsr, which other hosts of the pool make through
// xapi.
void answerOneCall((argv, surroundings) => runPlugin(argv, { ...surroundings, version }));
