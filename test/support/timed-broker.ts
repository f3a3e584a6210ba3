import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { type TestBroker, type TestBrokerOptions, useTestBroker } from './test-broker.js';

/** Short against every deadline that tests let pass. */
const stepMs = 100;

export interface TimedBroker {
  readonly broker: TestBroker;
  /** Time goes by for the broker, with turns of the event loop in between; mosquitto's can only be waited for. */
  pass(byMs: number): Promise<void>;
}

/** One broker for all tests of a file, whose clock moves when a test says so. */
export function useTimedBroker(options: TestBrokerOptions = {}): TimedBroker {
  const clock = new ManualClock();
  return {
    broker: useTestBroker({ ...options, seams: { ...options.seams, clock } }),
    async pass(byMs) {
      if (process.env.TEST_TARGET === 'mosquitto') return sleep(byMs);
      for (let left = byMs; left > 0; left -= stepMs) {
        await nextTurn();
        clock.advance(Math.min(left, stepMs));
      }
    },
  };
}
