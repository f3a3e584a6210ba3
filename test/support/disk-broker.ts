import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Config } from '../../src/config/config.js';
import type { DeepPartial } from '../../src/config/defaults.js';
import { inParts } from '../../src/store/parted-database.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { within } from './deadline.js';
import { FlawedDisk } from './flawed-database.js';
import { startTestBroker, type TestBroker } from './test-broker.js';

export interface DiskBroker extends TestBroker {
  readonly disk: FlawedDisk;
  readonly clock: ManualClock;
  /** Time goes by, with turns of the event loop in between, in which sockets are written and read. */
  pass(byMs: number): Promise<void>;
  /** From now on whatever is written to the disk waits. */
  holdWrites(): HeldWrites;
  /** The power fails, and the broker starts again on what was on the disk by then. */
  crash(config?: DeepPartial<Config>): Promise<void>;
}

export interface HeldWrites {
  /** Resolves when a write waits: what came so far and needs the disk was handed to it. */
  begun(): Promise<void>;
  /** The writes that wait go through, and so do all others. */
  release(): void;
}

/** Clients of these tests stay for as long as the test says, whatever its clock says. */
export const patient = { keepaliveSeconds: 0 } as const;

/**
 * How long a broker without power is given: it waits in vain for a write. A stop in order is done long before, within
 * the turns that its connections take to close.
 */
const stopTimeoutMs = 1_000;

/** Short against every deadline that tests let pass: hours pass for those that are minutes away. */
const stepFor = (byMs: number): number => Math.max(20_000, byMs / 200);

/** A broker whose disk and time are in the test's hand. Its clients should be `patient`: its clock goes by leaps. */
export async function startDiskBroker(config: DeepPartial<Config> = {}): Promise<DiskBroker> {
  const disk = new FlawedDisk();
  const clock = new ManualClock();
  const withDeadline = (given: DeepPartial<Config>) => ({ ...given, limits: { stopTimeoutMs, ...given.limits } });
  const broker = await startTestBroker({
    store: 'folder',
    config: withDeadline(config),
    // As LevelDB is opened: with long values in parts.
    seams: { openDatabase: async (mode) => inParts(await disk.open(mode)), clock },
  });
  return {
    ...broker,
    disk,
    clock,
    async pass(byMs) {
      const stepMs = stepFor(byMs);
      for (let left = byMs; left > 0; left -= stepMs) {
        await nextTurn();
        clock.advance(Math.min(left, stepMs));
      }
    },
    holdWrites: () => holdWrites(disk),
    restart: (changed = config) => broker.restart(withDeadline(changed)),
    async crash(changed = config) {
      disk.cutPower();
      await broker.restart(withDeadline(changed));
    },
  };
}

function holdWrites(disk: FlawedDisk): HeldWrites {
  const unheld = disk.pause;
  const waiting: (() => void)[] = [];
  let begin = () => {};
  const first = new Promise<void>((resolve) => {
    begin = resolve;
  });
  disk.pause = () =>
    new Promise((resolve) => {
      waiting.push(resolve);
      begin();
    });
  return {
    begun: () => within(5_000, 'a write', first),
    release() {
      disk.pause = unheld;
      for (const resolve of waiting.splice(0)) resolve();
    },
  };
}

/** Both ways for a broker to end and be there again; the time that passes meanwhile counts by the date. */
const ways = {
  restart: async (broker: DiskBroker, downMs = 0) => {
    broker.clock.stepDate(downMs);
    await broker.restart();
  },
  crash: async (broker: DiskBroker, downMs = 0) => {
    broker.disk.cutPower();
    broker.clock.stepDate(downMs);
    await broker.crash();
  },
} as const;
export const everyWay = Object.entries(ways) as [keyof typeof ways, (typeof ways)['crash']][];
