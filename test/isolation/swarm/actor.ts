import type { SecureContext } from 'node:tls';
import * as mqtt from '../../support/packets.js';
import { type Answer, messageOf } from './answers.js';
import { abandon, type Call, knock } from './caller.js';
import { blocksOf, connectPacket, type Sender } from './encode.js';
import { Link, type Target } from './link.js';
import type { ConnectStep, Level, PacketStep, Step, Tally } from './program.js';
import { oneText } from './text.js';

/** What the connections of a group have in common. */
export interface Stage {
  readonly target: Target;
  readonly context: SecureContext;
  readonly localAddress: string;
  readonly user: string;
  readonly password: string;
  readonly tally: Tally;
  /** For a turn among those that may connect at the same time; what it resolves to gives the turn back. */
  connectTurn(): Promise<() => void>;
}

const answersTimeoutMs = 30_000;
let clientIds = 0;
const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

/** One connection, or one after the other: goes through the steps of its group. */
export class Actor implements Sender {
  readonly #stage: Stage;
  readonly #number: number;
  readonly #meet: (at: string) => Promise<void>;
  #over = false;
  #link: Link | null = null;
  #connackCode: number | null = null;
  #acknowledges = true;
  #releases = true;
  #round = 0;
  #packetId = 0;
  /** Answers that have to come, by packet type. */
  #awaited = new Map<number, number>();
  #messages = 0;
  #replies: Buffer[] = [];
  /** Wakes the step that waits. */
  #changed: () => void = () => {};
  level: Level = 4;

  constructor(stage: Stage, number: number, meet: (at: string) => Promise<void>) {
    this.#stage = stage;
    this.#number = number;
    this.#meet = meet;
  }

  get names() {
    return { user: this.#stage.user, c: this.#number, r: this.#round };
  }

  nextId(): number {
    this.#packetId = (this.#packetId % 65_535) + 1;
    return this.#packetId;
  }

  expect(type: number, count: number): void {
    this.#awaited.set(type, (this.#awaited.get(type) ?? 0) + count);
  }

  /** The program is at its end: no further step. The connection stays as it is. */
  stop(): void {
    this.#over = true;
    this.#changed();
  }

  async run(steps: readonly Step[]): Promise<void> {
    for (const step of steps) {
      if (this.#over) return;
      await this.#take(step);
    }
  }

  async #take(step: Step): Promise<void> {
    switch (step.do) {
      case 'connect':
        return this.#connect(step);
      case 'part':
        return this.#sendPart(step.of, step.keep);
      case 'dribble':
        return this.#dribble(step.of, step.bytes);
      case 'knock':
        return this.#call(knock(step.hex, step.at), step.ms);
      case 'abandon':
        return this.#call(abandon(this.#stage.context), step.ms);
      case 'reading':
        if (this.#link) this.#link.reading = step.on;
        return;
      case 'answers':
        return this.#until(() => this.#link === null || this.#awaited.size === 0, step.withinMs);
      case 'messages':
        return this.#until(() => this.#link === null || this.#messages >= step.count, step.withinMs);
      case 'wait':
        return this.#until(() => false, step.ms);
      case 'meet': {
        let met = false;
        void this.#meet(step.at).then(() => {
          met = true;
          this.#changed();
        });
        return this.#until(() => met, Number.POSITIVE_INFINITY);
      }
      case 'disconnect':
        await this.#link?.send(mqtt.disconnect());
        return this.#leave((link) => link.end());
      case 'cut':
        return this.#leave((link) => link.cut());
      case 'repeat':
        return this.#repeat(step.times, step.steps);
      default:
        for (const block of blocksOf(step, this)) {
          if (this.#link === null || this.#over) return;
          await this.#send(...block);
          // Otherwise a thousand connections would all have their say before a single timer or answer is looked at.
          await nextTurn();
        }
    }
  }

  async #repeat(times: number, steps: readonly Step[]): Promise<void> {
    const outer = this.#round;
    // Otherwise there is nothing left to do once the connection is gone.
    const comesBack = steps.some((step) => ['connect', 'abandon', 'knock'].includes(step.do));
    for (let round = 0; round < times && !this.#over; round += 1) {
      this.#round = round;
      await this.run(steps);
      await nextTurn();
      if (!comesBack && this.#link === null) break;
    }
    this.#round = outer;
  }

  async #connect(step: ConnectStep): Promise<void> {
    const { target, context, localAddress, password, tally } = this.#stage;
    this.#leave((link) => link.cut());
    this.level = step.level ?? 4;
    this.#acknowledges = step.acknowledges ?? true;
    this.#releases = step.releases ?? true;
    this.#connackCode = null;
    const giveBack = await this.#stage.connectTurn();
    try {
      if (this.#over) return;
      let opened: Link | null = null;
      // An earlier connection's last words are nobody's any more.
      const isCurrent = () => opened !== null && opened === this.#link;
      opened = await Link.open(
        { target, context, localAddress, hoards: step.hoards },
        {
          onAnswer: (answer) => isCurrent() && this.#answered(answer),
          onClose: () => {
            if (!isCurrent()) return;
            if (this.#connackCode === 0) tally.closed += 1;
            this.#forget();
          },
        },
      );
      this.#link = opened;
      clientIds += 1;
      const clientId = step.id === undefined ? `${process.pid}x${clientIds}` : oneText(step.id, this.names);
      await this.#send(connectPacket(step, this.names, clientId, password));
      await this.#until(() => this.#link === null || this.#connackCode !== null);
    } catch {
      // Not even TLS came about.
    } finally {
      giveBack();
    }
    tally[this.#connackCode === 0 ? 'connected' : 'refused'] += 1;
  }

  async #sendPart(step: PacketStep, keep: number): Promise<void> {
    // Nothing answers what is not complete, so nothing is awaited.
    const sender: Sender = { level: this.level, names: this.names, nextId: () => this.nextId(), expect() {} };
    const bytes = Buffer.concat([...blocksOf(step, sender)].flat());
    await this.#send(bytes.subarray(0, Math.floor(bytes.length * keep)));
  }

  async #dribble(step: PacketStep, count: number): Promise<void> {
    const bytes = Buffer.concat([...blocksOf(step, this)].flat());
    this.#stage.tally.sentBytes += Math.min(count, bytes.length);
    await this.#link?.dribble(bytes.subarray(0, count));
    await this.#send(bytes.subarray(count));
  }

  async #call(call: Call, ms: number): Promise<void> {
    const { target, localAddress } = this.#stage;
    await call(target, localAddress, async (gone) => {
      let isGone = false;
      void gone.then(() => {
        isGone = true;
        this.#changed();
      });
      await this.#until(() => isGone, ms);
    });
  }

  async #send(...parts: readonly Buffer[]): Promise<void> {
    if (this.#link === null) return;
    for (const { length } of parts) this.#stage.tally.sentBytes += length;
    await this.#link.send(...parts);
  }

  async #until(holds: () => boolean, withinMs = answersTimeoutMs): Promise<void> {
    let late = false;
    const timer = Number.isFinite(withinMs) ? setTimeout(() => expire(), withinMs) : undefined;
    const expire = () => {
      late = true;
      this.#changed();
    };
    while (!late && !this.#over && !holds()) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
    clearTimeout(timer);
  }

  #answered(answer: Answer): void {
    const { tally } = this.#stage;
    const { type, head } = answer;
    this.#came(type);
    if (type === mqtt.PUBLISH) this.#message(answer);
    else if (type === mqtt.CONNACK) this.#connackCode = head[1] ?? -1;
    else if (type === mqtt.PUBREC) this.#release(head.readUInt16BE(0));
    else if (type === mqtt.PUBREL) this.#reply(mqtt.pubcomp(head.readUInt16BE(0)));
    else if (type === mqtt.UNSUBACK) tally.unsubscribed += 1;
    else if (type === mqtt.PUBACK || type === mqtt.PUBCOMP) tally.published += 1;
    else if (type === mqtt.PINGRESP) tally.pingresps += 1;
    else if (type === mqtt.SUBACK) {
      // MQTT 5 has a length of properties between the packet id and the codes; 0 is expected.
      for (const code of head.subarray(this.level === 5 ? 3 : 2)) tally[code < 0x80 ? 'granted' : 'denied'] += 1;
    }
    this.#changed();
  }

  #came(type: number): void {
    const left = (this.#awaited.get(type) ?? 0) - 1;
    if (left > 0) this.#awaited.set(type, left);
    else this.#awaited.delete(type);
  }

  #message(answer: Answer): void {
    const { id, payloadBytes } = messageOf(answer);
    this.#messages += 1;
    this.#stage.tally.messages += 1;
    this.#stage.tally.messageBytes += payloadBytes;
    if (id > 0 && this.#acknowledges) this.#reply(answer.flags & 4 ? mqtt.pubrec(id) : mqtt.puback(id));
  }

  #release(id: number): void {
    if (this.#releases) this.#reply(mqtt.pubrel(id));
    // Nothing more comes of it.
    else this.#came(mqtt.PUBCOMP);
  }

  /** All replies of a turn leave together. */
  #reply(packet: Buffer): void {
    if (this.#replies.push(packet) > 1) return;
    setImmediate(() => {
      const all = Buffer.concat(this.#replies);
      this.#replies = [];
      void this.#send(all);
    });
  }

  #leave(how: (link: Link) => void): void {
    const link = this.#link;
    this.#forget();
    if (link) how(link);
  }

  #forget(): void {
    this.#link = null;
    this.#awaited.clear();
    this.#messages = 0;
    this.#changed();
  }
}
