// A process of its own for test/cli/until-signalled.test.ts: serves nothing, stops and reloads as its argument says,
// and writes a JSON log line for each step.
import { once } from 'node:events';
import { untilSignalled } from '../../src/cli/until-signalled.js';
import { createLog } from '../../src/observe/log.js';

const [manner = 'well'] = process.argv.slice(2);
const log = createLog({ level: 'info', format: 'json' });
// What a listening socket does for a real service: keeps the process alive until it stops.
const alive = setInterval(() => {}, 60_000);

const service = {
  start: async () => {
    if (manner === 'slowly') await once(process, 'SIGINT');
    if (manner === 'not') throw new Error('cannot start');
    log.info('ready');
  },
  stop: async () => {
    if (manner === 'badly') throw new Error('the store is on fire');
    if (manner === 'never') await new Promise(() => {});
    clearInterval(alive);
  },
  reload: async () => {
    if (manner === 'badly') throw new Error('no such certificate');
    log.info('reloaded');
  },
};

const done = untilSignalled(service, {
  log,
  stopTimeoutMs: () => (manner === 'never' && process.argv[3] === 'soon' ? 1 : 60_000),
});
if (manner === 'throw')
  setImmediate(() => {
    throw new Error('bug one');
  });
if (manner === 'reject') void Promise.reject(new Error('bug two'));
if (manner === 'slowly') log.info('starting');
process.exit(await done.catch(() => 7));
