import assert from 'node:assert/strict';
import type { LimitsConfig } from '../../src/config/config.js';
import { defaultConfig } from '../../src/config/defaults.js';
import { perform } from '../../src/fairness/job.js';
import type { Qos } from '../../src/mqtt/packets.js';
import { type Message, Publication } from '../../src/mqtt/publication.js';
import { Counters } from '../../src/observe/counters.js';
import { OutgoingQueue } from '../../src/session/outgoing-queue.js';
import type { Outlet } from '../../src/session/outlet.js';
import { type OpenedStore, openStore } from '../../src/store/store.js';
import { ManualClock } from '../../src/testing/manual-clock.js';
import { sessionRecord } from '../contract/store.js';
import { newLedger, newScheduler, userAccount } from './accounts.js';
import { silent } from './open-store.js';
import { nextTurn } from './work-time.js';

/** One PUBLISH or PUBREL that left. */
export interface Sent {
  /** The payload; `PUBREL` of a PUBREL. */
  readonly what: string;
  readonly id: number;
  readonly qos?: number;
  readonly dup?: boolean;
  readonly retain?: boolean;
}

/** The client of a queue, that writes down what it is sent. */
export class RecordingOutlet implements Outlet {
  hasRoom = true;
  slowed = false;
  bytes = 0;
  receiveMaximum = 65_535;
  readonly sent: Sent[] = [];

  publication(publication: Publication, qos: Qos, id: number, retain: boolean): boolean {
    this.sent.push({ what: publication.payload.toString(), id, qos, dup: false, retain });
    return true;
  }

  message(message: Message, qos: Qos, id: number, retain: boolean, dup: boolean): boolean {
    this.sent.push({ what: message.payload.toString(), id, qos, dup, retain });
    return true;
  }

  pubrel(id: number): void {
    this.sent.push({ what: 'PUBREL', id });
  }

  /** What was sent since this was asked last. */
  take(): Sent[] {
    return this.sent.splice(0);
  }

  /** The same, of each what it is. */
  takeNames(): string[] {
    return this.take().map(({ what }) => what);
  }
}

export interface Publishing {
  readonly qos?: Qos;
  readonly granted?: Qos;
  readonly topic?: string;
  readonly retain?: boolean;
  /** Whose publisher it is. */
  readonly login?: string;
}

export interface QueueUnderTest {
  readonly queue: OutgoingQueue;
  readonly account: ReturnType<typeof userAccount>;
  readonly clock: ManualClock;
  readonly store: OpenedStore;
  /** Why messages were dropped. */
  readonly dropped: string[];
  /** Somebody publishes, and what needs the store is committed. */
  publish(payload: string, options?: Publishing): Publication;
  /** The client comes, with room for messages or without. */
  connect(hasRoom?: boolean): RecordingOutlet;
  /** What the store had alone was read, and everything that was to be done is done. */
  settled(): Promise<void>;
}

export interface QueueOptions {
  readonly limits?: Partial<LimitsConfig>;
  /** Whether the session is kept; the store is memory, and has everything at once. */
  readonly persistent?: boolean;
  readonly memoryPerUser?: number;
}

/** The queue of one session of alice. */
export async function queueUnderTest(options: QueueOptions = {}): Promise<QueueUnderTest> {
  const clock = new ManualClock();
  const config = { path: 'memory', sessionExpiryMs: 1_000_000 };
  const store = await openStore({ config, log: silent, clock });
  const account = userAccount('alice', newLedger(options.memoryPerUser));
  const limits = { ...defaultConfig().limits, ...options.limits };
  account.limits = limits;
  const dropped: string[] = [];
  const writer = options.persistent ? store.session('alice/a') : null;
  writer?.save(sessionRecord('alice/a'));
  const scheduler = newScheduler();
  const queue = new OutgoingQueue(
    {
      storedInMemory: true,
      mayReceive: () => true,
      perform: (job) => perform(job, account, scheduler),
      onUnreadable: (error) => assert.fail(String(error)),
      ...{ limits, clock, account, retained: store.retained, scheduler, counters: new Counters() },
      whenStored: (callback) => store.whenStored(callback),
      onDropped: (reason) => dropped.push(reason),
    },
    writer,
  );
  return {
    ...{ queue, account, clock, store, dropped },
    publish(payload, { qos = 1, granted = 2, topic = 'iotlab/alice/x', retain = false, login = 'alice' } = {}) {
      const publication = Publication.of(topic, Buffer.from(payload), qos, retain, login);
      queue.deliver(publication, granted);
      if (publication.ticket !== null) store.whenStored(() => publication.ticket?.committed());
      return publication;
    },
    connect(hasRoom = true) {
      const outlet = new RecordingOutlet();
      outlet.hasRoom = hasRoom;
      queue.attach(outlet);
      return outlet;
    },
    async settled() {
      for (let turn = 0; turn < 5; turn++) {
        await nextTurn();
        await scheduler.whenIdle();
      }
    },
  };
}
