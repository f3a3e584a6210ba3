import { isValidTopicFilter, isValidTopicName } from '../mqtt/topics.js';
import type {
  ClientInfo,
  ClientScope,
  ConnectOptions,
  DenialScope,
  LogLine,
  MessageOptions,
  PublishOptions,
  SeenDenial,
  SeenMessage,
  TestBroker,
  TestUsers,
  WaitOptions,
} from './api.js';
import { throwAwayCa } from './certificates.js';
import { isAmong, nameOf } from './clients.js';
import type { Faults } from './fault-api.js';
import { FaultSwitches } from './fault-switches.js';
import type { Harness } from './harness.js';
import { ManualClock } from './manual-clock.js';
import { writeTempFile } from './temp-files.js';

/** The public face of an Harness; what each member promises is said in api.ts. */
export class BrokerHandle implements TestBroker {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  readonly ca: string;
  readonly caFile: string;
  readonly users: TestUsers;
  readonly faults: Faults;
  readonly #harness: Harness;
  readonly #removeCaFile: () => void;
  #stopped: Promise<void> | null = null;

  constructor(harness: Harness, host: string) {
    this.#harness = harness;
    this.host = host === '::' || host === '0.0.0.0' ? 'localhost' : host;
    this.port = harness.port;
    this.url = `mqtts://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`;
    this.ca = throwAwayCa();
    const file = writeTempFile('iot-lab-ca.pem', this.ca);
    this.caFile = file.path;
    this.#removeCaFile = file.remove;
    this.users = harness.users;
    this.faults = new FaultSwitches(harness.board);
  }

  connectOptions(login: string, { protocolVersion }: { readonly protocolVersion?: 3 | 4 | 5 } = {}): ConnectOptions {
    const { host, port, ca } = this;
    if (protocolVersion !== undefined && ![3, 4, 5].includes(protocolVersion)) {
      throw new RangeError(`protocolVersion ${protocolVersion}: 3 is MQTT 3.1, 4 is MQTT 3.1.1, 5 is MQTT 5`);
    }
    return {
      ...{ host, port, protocol: 'mqtts', ca, username: login, password: this.users.passwordOf(login) },
      ...(protocolVersion === undefined ? {} : { protocolVersion }),
      ...(protocolVersion === 3 ? { protocolId: 'MQIsdp' } : {}),
    };
  }

  mosquittoArgs(login: string): string[] {
    const password = this.users.passwordOf(login);
    return ['-h', this.host, '-p', `${this.port}`, '--cafile', this.caFile, '-u', login, '-P', password];
  }

  clients(): ClientInfo[] {
    return this.sessions().filter(({ connected }) => connected);
  }

  sessions(): ClientInfo[] {
    return this.#harness.running.sessions();
  }

  waitForClient(scope: ClientScope & WaitOptions = {}): Promise<ClientInfo> {
    return this.#harness.waiting.until(() => this.#find((client) => client.connected && isAmong(client, scope)), {
      timeoutMs: scope.timeoutMs,
      failure: () => `${capitalized(nameOf(scope))} did not connect`,
    });
  }

  async waitForDisconnect(scope: ClientScope & WaitOptions = {}): Promise<void> {
    const connected = () => this.#find((client) => client.connected && isAmong(client, scope));
    await this.#harness.waiting.until(() => connected() === undefined || undefined, {
      timeoutMs: scope.timeoutMs,
      failure: () => `${capitalized(nameOf(scope))} did not disconnect`,
    });
  }

  waitForSubscription(filter: string, scope: ClientScope & WaitOptions = {}): Promise<ClientInfo> {
    const subscribed = (client: ClientInfo) =>
      client.connected && isAmong(client, scope) && client.subscriptions.some((each) => each.filter === filter);
    return this.#harness.waiting.until(() => this.#find(subscribed), {
      timeoutMs: scope.timeoutMs,
      failure: () => `${capitalized(nameOf(scope))} did not subscribe to ${filter}`,
    });
  }

  waitForAcknowledgements(scope: ClientScope & WaitOptions = {}): Promise<ClientInfo> {
    const done = (client: ClientInfo) =>
      client.connected && isAmong(client, scope) && client.inflightMessages + client.queuedMessages === 0;
    return this.#harness.waiting.until(() => this.#find(done), {
      timeoutMs: scope.timeoutMs,
      failure: () => `${capitalized(nameOf(scope))} did not acknowledge everything`,
    });
  }

  waitForMessage(filter: string, options?: MessageOptions & { readonly count?: undefined }): Promise<SeenMessage>;
  waitForMessage(filter: string, options: MessageOptions & { readonly count: number }): Promise<SeenMessage[]>;
  waitForMessage(
    filter: string,
    { count, timeoutMs, where = () => true }: MessageOptions & { readonly count?: number | undefined } = {},
  ): Promise<SeenMessage | SeenMessage[]> {
    const found = () => this.messages(filter).filter(where);
    const wanted = count ?? 1;
    const look = (): SeenMessage | SeenMessage[] | undefined => {
      const messages = found().slice(0, wanted);
      if (messages.length < wanted) return undefined;
      return count === undefined ? messages[0] : messages;
    };
    const failure = () => `${found().length} of ${wanted} messages to ${filter} came`;
    return this.#harness.waiting.until(look, { timeoutMs, failure, about: filter });
  }

  messages(filter = '#'): SeenMessage[] {
    if (!isValidTopicFilter(filter)) throw new RangeError(`${JSON.stringify(filter)} is not a valid topic filter`);
    return this.#harness.messages.matching(filter);
  }

  forgetMessages(): void {
    this.#harness.messages.clear();
  }

  waitForDenial(scope: DenialScope & WaitOptions = {}): Promise<SeenDenial> {
    const { action = 'anything', topic, timeoutMs } = scope;
    const what = topic === undefined ? action : `${action} to ${topic}`;
    return this.#harness.waiting.until(() => this.denials(scope)[0], {
      timeoutMs,
      failure: () => `Nobody denied ${what} to ${nameOf(scope)}`,
      about: topic ?? null,
    });
  }

  denials(scope: DenialScope = {}): SeenDenial[] {
    return this.#harness.denials.matching(scope);
  }

  metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    return this.#harness.running.metric(name, labels);
  }

  async publish(
    login: string,
    topic: string,
    payload: string | Uint8Array = '',
    { qos = 1, retain = false }: PublishOptions = {},
  ): Promise<void> {
    const broker = this.#harness.running;
    this.users.passwordOf(login);
    if (!isValidTopicName(topic)) throw new RangeError(`${JSON.stringify(topic)} is not a topic to publish to`);
    if (!broker.mayPublish(login, topic)) throw new Error(`${login} may not publish to ${topic}`);
    const stored = await broker.publish({ login, topic, payload: Buffer.from(payload as Uint8Array), qos, retain });
    if (!stored) throw new Error(`The message to ${topic} could not be stored`);
  }

  retain(
    login: string,
    topic: string,
    payload: string | Uint8Array,
    options: Pick<PublishOptions, 'qos'> = {},
  ): Promise<void> {
    return this.publish(login, topic, payload, { ...options, retain: true });
  }

  kick(login: string, clientId?: string): number {
    return this.#harness.running.disconnect(login, clientId);
  }

  advance(byMs: number): void {
    const { clock } = this.#harness;
    if (!(clock instanceof ManualClock)) throw new Error("advance() needs startBroker({ clock: 'manual' })");
    clock.advance(byMs);
  }

  restart(options: { readonly store?: 'keep' | 'empty'; readonly whileDown?: () => unknown } = {}): Promise<void> {
    const { store = 'keep', whileDown = () => {} } = options;
    return this.#harness.restart(store, whileDown);
  }

  async reset(): Promise<void> {
    this.faults.liftAll();
    await this.restart({ store: 'empty' });
    this.#harness.messages.clear();
    this.#harness.denials.clear();
    this.#harness.log.clear();
  }

  logLines(): LogLine[] {
    return this.#harness.log.all();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#harness.close().finally(() => this.#removeCaFile());
    return this.#stopped;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #find(test: (client: ClientInfo) => boolean): ClientInfo | undefined {
    return this.#harness.view?.sessions().find(test);
  }
}

function capitalized(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}`;
}
