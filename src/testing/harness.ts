import { setTimeout as later } from 'node:timers/promises';
import { type Broker, createBroker } from '../broker.js';
import { type Clock, systemClock } from '../clock.js';
import type { Config } from '../config/config.js';
import { createLog, type Log } from '../observe/log.js';
import { type BrokerView, observing, viewOf } from './broker-view.js';
import { testCertificates } from './certificates.js';
import { describeClients } from './clients.js';
import { DenialLog } from './denials.js';
import { FaultBoard } from './fault-board.js';
import { FaultySocket } from './faulty-socket.js';
import { KeepableStore } from './keepable-store.js';
import { LogRing } from './log-ring.js';
import { ManualClock } from './manual-clock.js';
import { MessageLog } from './messages.js';
import type { StartOptions } from './options.js';
import { MutableUsers } from './users.js';
import { Waiting } from './waiting.js';

/** `startBroker`'s own default: short of the five seconds after which test runners give up without a word. */
const defaultTimeoutMs = 4_000;
/** While the broker is down its port is nobody's: a client's own outgoing connection may have it for a moment. */
const bindRetries = 20;
const bindRetryMs = 50;

/** The service with the harness's parts in their places, through any number of restarts. */
export class Harness {
  readonly clock: Clock;
  readonly users: MutableUsers;
  readonly board: FaultBoard;
  readonly messages = new MessageLog();
  readonly denials = new DenialLog();
  readonly log: LogRing;
  readonly waiting: Waiting;
  readonly #config: Config;
  readonly #brokerLog: Log;
  readonly #store: KeepableStore;
  #broker: Broker | null = null;
  #view: BrokerView | null = null;

  constructor(
    config: Config,
    { clock, users = { alice: 'secret' }, timeoutMs = defaultTimeoutMs, onLogLine }: StartOptions,
  ) {
    this.#config = config;
    this.log = new LogRing(onLogLine);
    this.clock = clock === 'manual' ? new ManualClock() : (clock ?? systemClock);
    this.users = new MutableUsers(users);
    this.waiting = new Waiting(timeoutMs, (about) => this.#describe(about));
    this.board = new FaultBoard(this.clock, this.waiting);
    // For programs: whoever waits in vain reads it in words.
    this.#brokerLog = createLog({ ...config.log, format: 'json' }, this.log);
    this.#store = new KeepableStore(config.storage.path, this.#brokerLog, this.clock);
  }

  /** Null while the broker is down. */
  get view(): BrokerView | null {
    return this.#view;
  }

  /** The broker, which must not be down. */
  get running(): BrokerView {
    if (this.#view === null) throw new Error('The broker is not running.');
    return this.#view;
  }

  get port(): number {
    if (this.#broker === null) throw new Error('The broker is not running.');
    return this.#broker.port;
  }

  async start(port = this.#config.listener.port): Promise<void> {
    const { clock, board, users } = this;
    const config = this.#config;
    const broker = await createBroker(
      { ...config, listener: { ...config.listener, port } },
      {
        log: this.#brokerLog,
        clock,
        backend: users.backend(board),
        certificates: testCertificates(board),
        openDatabase: this.#store.open,
        wrapSocket: (socket) =>
          new FaultySocket(socket, { faults: board, clock, changed: () => this.waiting.changed() }),
        historyListener: {
          denied: (denial) => {
            this.denials.denied(denial);
            this.waiting.changed();
          },
          refused: (refusal) => {
            this.denials.refused(refusal);
            this.waiting.changed();
          },
        },
        onPublication: observing((message) => {
          this.messages.record(message, this.clock.epochMs());
          this.waiting.changed();
        }),
      },
    );
    await broker.start();
    this.#broker = broker;
    this.#view = viewOf(broker);
  }

  /** Stops and starts again on the same port. */
  async restart(store: 'keep' | 'empty', whileDown: () => unknown): Promise<void> {
    const { port } = this;
    await this.stop();
    if (store === 'empty') await this.#store.empty();
    await whileDown();
    for (let attempt = 1; ; attempt++) {
      try {
        await this.start(port);
        return;
      } catch (error) {
        if ((error as { cause?: { code?: string } }).cause?.code !== 'EADDRINUSE' || attempt === bindRetries)
          throw error;
        await later(bindRetryMs);
      }
    }
  }

  async stop(): Promise<void> {
    const broker = this.#broker;
    this.#broker = null;
    this.#view = null;
    await broker?.stop();
  }

  /** Ends for good. */
  async close(): Promise<void> {
    this.waiting.close();
    this.board.liftAll();
    await this.stop();
    await this.#store.close();
  }

  #describe(about: string | null): string {
    const clients = this.#view === null ? ['The broker is not running.'] : describeClients(this.#view);
    const messages = this.messages.describe(about);
    return [...(about === null ? [...clients, ...messages] : [...messages, ...clients]), ...this.log.describe()].join(
      '\n',
    );
  }
}
