import type { EventEmitter } from 'node:events';
import type { Duplex } from 'node:stream';
import { Aedes, type AedesPublishPacket } from 'aedes';
import type { Rulebook } from '../acl/rulebook.js';
import type { Identification, RegisteredClient, Registry } from '../connection/registry.js';
import type { CredentialGuard } from '../credentials/guard.js';
import type { Qos } from '../mqtt/packets.js';
import { Publication } from '../mqtt/publication.js';
import { maxTopicLevels } from '../mqtt/topics.js';
import type { Transport } from '../network.js';
import type { Log } from '../observe/log.js';
import type { Distribution } from '../session/distribution.js';
import type { ClientIdentity, Gate } from '../session/gate.js';
import type { UserAccount } from '../session/user-account.js';

/** A client as aedes's registry, hooks and events have it. `id` is `<login>/<client id>`. */
export interface HubClient extends ClientIdentity {
  readonly connDetails: { readonly ipAddress: string };
  /** Ends its connection. */
  close: (done?: () => void) => void;
}

interface Subscription {
  readonly topic: string;
  readonly qos: Qos;
}

/** The parts of aedes that its types do not show, or show with its own client. */
interface Inside {
  clients: Record<string, RegisteredHubClient | undefined>;
  connectedClients: number;
  closed: boolean;
  maxTopicLevels: number;
  registerClient(client: HubClient): void;
  unregisterClient(client: HubClient): void;
  authenticate(
    client: HubClient,
    username: string | undefined,
    password: Buffer | undefined,
    done: (error: Error | null, success: boolean | null) => void,
  ): void;
  authorizePublish(client: HubClient, packet: AedesPublishPacket, done: (error?: Error | null) => void): void;
  authorizeSubscribe(
    client: HubClient,
    subscription: Subscription,
    done: (error: Error | null, subscription?: Subscription | null) => void,
  ): void;
  authorizeForward(client: HubClient, packet: AedesPublishPacket): AedesPublishPacket | null | undefined;
}

interface RegisteredHubClient extends HubClient {
  readonly registered: RegisteredClient;
}

interface Next {
  readonly registered: RegisteredClient;
  readonly done: () => void;
}

const EMPTY = Buffer.alloc(0);
/** Whose account it is that what an embedder publishes belongs to: no login is empty. */
const EMBEDDER = '';

/**
 * aedes 1.2 as the hub: its registry with takeover, its hooks and its events. Its own connection client is replaced:
 * `handle` hands the socket to a Connection of ours. Messages don't go through it, they are distributed by routes (see
 * Distribution); what an embedder gives to `publish` is distributed too, and `publish` events tell of everything.
 *
 * The session asks the hooks, once per topic or filter until the rules change: `authorizePublish`, `authorizeSubscribe`, and
 * `authorizeForward` with an empty payload. They answer before they return; one that does not has refused.
 */
export class Hub extends Aedes implements Registry, Gate {
  readonly #guard: CredentialGuard;
  readonly #rules: Rulebook;
  readonly #log: Log;
  /** Ids whose client makes way, with the one that waits for it: the newest that has come; null: it has gone again. */
  readonly #makingWay = new Map<string, Next | null>();
  /** Of clients that are being asked for, until the guard has said who they are. */
  readonly #identifications = new WeakMap<HubClient, Identification>();
  #post: ((publication: Publication) => unknown) | null = null;

  constructor(options: {
    readonly guard: CredentialGuard;
    readonly rules: Rulebook;
    readonly log: Log;
    /** Takes a socket over. */
    readonly connect: (socket: Duplex, address: string, transport: Transport) => unknown;
  }) {
    super({});
    this.#guard = options.guard;
    this.#rules = options.rules;
    this.#log = options.log;
    this.handle = ((socket: Duplex, request?: { connDetails?: { ipAddress?: string; transport?: Transport } }) => {
      const { ipAddress = '', transport = 'tls' } = request?.connDetails ?? {};
      return options.connect(socket, ipAddress, transport);
    }) as never;
    // The router has no limit of its own, and the service's is the one that every topic is checked against.
    this.#inside.maxTopicLevels = maxTopicLevels;
    this.#setHooks();
  }

  #setHooks(): void {
    const inside = this.#inside;
    inside.authenticate = (client, username, password, done) => {
      const { ipAddress: address } = client.connDetails;
      this.#guard.authenticate({ login: username, password, address }).then(
        (outcome) => {
          this.#identifications.set(client, outcome);
          done(null, outcome.kind === 'accepted');
        },
        (error: Error) => done(error, null),
      );
    };
    inside.authorizePublish = ({ login }, { topic }, done) => {
      done(this.#rules.of(login).publish(topic).allowed ? null : new Error('denied by the access rules'));
    };
    inside.authorizeSubscribe = ({ login }, subscription, done) => {
      done(null, this.#rules.of(login).subscribe(subscription.topic).allowed ? subscription : null);
    };
    inside.authorizeForward = ({ login }, packet) =>
      this.#rules.of(login).deliver(packet.topic).allowed ? packet : null;
  }

  /** aedes's own start sends a heartbeat to other brokers and looks for the Wills of dead ones: there are none here. */
  override async listen(): Promise<void> {
    this.#inside.connectedClients = 0;
    this.#inside.closed = false;
  }

  /** From here on `publish` distributes, and events tell of what is distributed. */
  join(distribution: Distribution, account: (login: string) => UserAccount): void {
    this.#post = (publication) => distribution.post(publication, account(publication.publisher.login));
    const tell = (publication: Publication): void => {
      const { topic, qos, retain, publisher } = publication;
      const payload = Buffer.from(publication.payload);
      const client =
        publisher.clientId === null ? null : this.#inside.clients[`${publisher.login}/${publisher.clientId}`];
      this.emit('publish', { cmd: 'publish', topic, payload, qos, retain, dup: false }, client ?? null);
    };
    const events = this as EventEmitter;
    events.on('newListener', (event) => {
      if (event === 'publish' && this.listenerCount('publish') === 0) distribution.onPublication(tell);
    });
    events.on('removeListener', (event) => {
      if (event === 'publish' && this.listenerCount('publish') === 0) distribution.offPublication(tell);
    });
  }

  /** aedes tells its own news by this too, on topics below `$SYS/`: nobody here may hear them. */
  override publish(...[packet, ...rest]: Parameters<Aedes['publish']>): void {
    const { topic, payload, qos = 0, retain = false } = packet;
    if (!topic.startsWith('$SYS/')) {
      this.#post?.(Publication.of(topic, Buffer.from(payload as Buffer), qos as Qos, retain, EMBEDDER));
    }
    (rest.at(-1) as (() => void) | undefined)?.();
  }

  /** Takes a socket over: aedes's `handle`, with the address that the listener knows. */
  accept(socket: Duplex, address: string, transport: Transport): void {
    this.handle(socket, { connDetails: { ipAddress: address, transport } } as never);
  }

  identify(address: string, username: string | undefined, password: Buffer | undefined): Promise<Identification> {
    const client = { login: '', clientId: '', id: '', connDetails: { ipAddress: address }, close: () => {} };
    return new Promise((resolve, reject) => {
      this.#inside.authenticate(client, username, password, (error) => {
        if (error) reject(error);
        else resolve(this.#identifications.get(client)!);
      });
    });
  }

  register(registered: RegisteredClient, done: () => void): void {
    const { id } = registered;
    const next = { registered, done };
    const isMadeWay = this.#makingWay.has(id);
    const former = this.#makingWay.get(id);
    const older = this.#inside.clients[id];
    if (!isMadeWay && older == null) {
      this.#enter(next);
      return;
    }
    this.#makingWay.set(id, next);
    if (isMadeWay) former?.registered.takenOver(() => {});
    else older!.registered.takenOver(() => this.#wayMade(id));
  }

  /** Whoever waits by now, if anybody does, is in. */
  #wayMade(id: string): void {
    const next = this.#makingWay.get(id) ?? null;
    this.#makingWay.delete(id);
    if (next !== null) this.#enter(next);
  }

  #enter({ registered, done }: Next): void {
    const { login, clientId, id, address } = registered;
    const client: RegisteredHubClient = {
      ...{ login, clientId, id, registered, connDetails: { ipAddress: address } },
      close(closed = () => {}) {
        registered.kick();
        closed();
      },
    };
    this.#inside.registerClient(client);
    done();
  }

  awaits(id: string): boolean {
    return (this.#makingWay.get(id) ?? null) !== null;
  }

  homeOf(login: string): string | null {
    return this.#rules.of(login).home;
  }

  unregister(registered: RegisteredClient): void {
    const next = this.#makingWay.get(registered.id);
    if (next?.registered === registered) this.#makingWay.set(registered.id, null);
    const client = this.#inside.clients[registered.id];
    if (client?.registered === registered) this.#inside.unregisterClient(client);
  }

  ready(registered: RegisteredClient): void {
    this.emit('clientReady', this.#inside.clients[registered.id]);
  }

  subscribed(registered: RegisteredClient, subscriptions: readonly { filter: string; qos: Qos }[]): void {
    if (this.listenerCount('subscribe') === 0) return;
    const granted = subscriptions.map(({ filter, qos }) => ({ topic: filter, qos }));
    this.emit('subscribe', granted, this.#inside.clients[registered.id]);
  }

  unsubscribed(registered: RegisteredClient, filters: readonly string[]): void {
    this.emit('unsubscribe', filters, this.#inside.clients[registered.id]);
  }

  mayPublish(identity: ClientIdentity, topic: string): boolean {
    let allowed = false;
    this.#ask('authorizePublish', () => {
      this.#inside.authorizePublish(this.#clientOf(identity), packetOf(topic), (error) => {
        allowed = error == null;
      });
    });
    return allowed;
  }

  maySubscribe(identity: ClientIdentity, filter: string, qos: Qos): boolean {
    let allowed = false;
    this.#ask('authorizeSubscribe', () => {
      this.#inside.authorizeSubscribe(this.#clientOf(identity), { topic: filter, qos }, (error, subscription) => {
        allowed = error == null && subscription != null;
      });
    });
    return allowed;
  }

  mayReceive(identity: ClientIdentity, topic: string): boolean {
    let allowed = false;
    this.#ask('authorizeForward', () => {
      allowed = this.#inside.authorizeForward(this.#clientOf(identity), packetOf(topic)) != null;
    });
    return allowed;
  }

  /** A hook that throws has refused. */
  #ask(hook: string, ask: () => void): void {
    try {
      ask();
    } catch (error) {
      this.#log.error({ err: error, hook }, 'a hook failed: refused');
    }
  }

  /** The registered client, or one for the session of a client that is away. */
  #clientOf({ login, clientId, id }: ClientIdentity): HubClient {
    const client = this.#inside.clients[id];
    return client ?? { login, clientId, id, connDetails: { ipAddress: '' }, close: (done) => done?.() };
  }

  get #inside(): Inside {
    return this as never;
  }
}

function packetOf(topic: string): AedesPublishPacket {
  return { cmd: 'publish', topic, payload: EMPTY, qos: 0, retain: false, dup: false } as AedesPublishPacket;
}
