import type { SecureContext } from 'node:tls';
import { within } from '../../support/deadline.js';
import * as mqtt from '../../support/packets.js';
import type { Answer } from './answers.js';
import { Link, type Target } from './link.js';

/** Who is watched, and where she comes from: not the attacker's address, as she would not in life. */
export interface Resident {
  readonly target: Target;
  readonly context: SecureContext;
  readonly login: string;
  readonly password: string;
}

export interface QuietOptions {
  readonly clientId: string;
  readonly clean?: boolean;
  onAnswer?(answer: Answer): void;
  /** The broker closed the connection. */
  onLost?(): void;
}

const localAddress = '127.0.0.2';
const answerTimeoutMs = 30_000;

/** A well-behaved client of the user who is watched. */
export class QuietClient {
  readonly #link: Link;
  readonly #waiting: Map<number, (answer: Answer) => void>;
  #leaving = false;

  private constructor(link: Link, waiting: Map<number, (answer: Answer) => void>) {
    this.#link = link;
    this.#waiting = waiting;
  }

  static async connect({ target, context, login, password }: Resident, options: QuietOptions): Promise<QuietClient> {
    const waiting = new Map<number, (answer: Answer) => void>();
    let client: QuietClient | null = null;
    const link = await Link.open(
      { target, context, localAddress },
      {
        onAnswer(answer) {
          const wanted = waiting.get(answer.type);
          waiting.delete(answer.type);
          wanted?.(answer);
          options.onAnswer?.(answer);
        },
        onClose() {
          if (client !== null && !client.#leaving) options.onLost?.();
        },
      },
    );
    client = new QuietClient(link, waiting);
    const { clientId, clean = true } = options;
    try {
      const { head } = await client.#ask(
        mqtt.CONNACK,
        mqtt.connect({ clientId, clean, keepaliveSeconds: 0, login, password }),
      );
      if (head[1] !== 0) throw new Error(`${login} was refused with CONNACK ${head[1]}`);
      return client;
    } catch (error) {
      client.cut();
      throw error;
    }
  }

  async subscribe(filter: string, qos: number): Promise<void> {
    const { head } = await this.#ask(mqtt.SUBACK, mqtt.subscribe(1, [filter, qos]));
    if (head[2] !== qos) throw new Error(`${filter} was granted ${head[2]}, not ${qos}`);
  }

  send(packet: Buffer): void {
    void this.#link.send(packet);
  }

  /** DISCONNECT, and gone. */
  leave(): void {
    this.#leaving = true;
    this.send(mqtt.disconnect());
    this.#link.end();
  }

  cut(): void {
    this.#leaving = true;
    this.#link.cut();
  }

  #ask(type: number, packet: Buffer): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#waiting.set(type, resolve));
    this.send(packet);
    return within(answerTimeoutMs, `the answer of type ${type}`, answer);
  }
}
