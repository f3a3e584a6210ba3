import type { Grant } from '../../src/mqtt/grant.js';
import { Publication } from '../../src/mqtt/publication.js';
import type { Router } from '../../src/routing/router.js';
import type { Subscriber } from '../../src/routing/subscriber.js';

/** A session that writes down what it is given. It may read everything that does not begin with `secret`. */
export class RecordingSubscriber implements Subscriber {
  readonly got: string[] = [];
  connected = true;
  ready = true;
  readonly login: string;
  readonly clientId: string;
  readonly persistent: boolean;

  constructor(login = 'alice', persistent = false, clientId = 'c') {
    this.clientId = clientId;
    this.login = login;
    this.persistent = persistent;
  }

  /** Connected, and its queue is full. */
  becomeSlow(): void {
    this.connected = true;
    this.ready = false;
  }

  leave(): void {
    this.connected = false;
    this.ready = false;
  }

  comeBack(): void {
    this.connected = true;
    this.ready = true;
  }

  mayReceive(topic: string): boolean {
    return !topic.startsWith('secret');
  }

  published({ publisher }: Publication): boolean {
    return publisher.clientId === this.clientId;
  }

  deliver(publication: Publication, granted: Grant): void {
    this.got.push(`${publication.topic}@${granted}`);
  }
}

export const publicationOf = (topic: string, clientId: string | null = null): Publication =>
  Publication.of(topic, Buffer.from('x'), 2, false, 'alice', clientId);

export function publish(router: Router, topic: string, clientId: string | null = null): void {
  const publication = publicationOf(topic, clientId);
  const route = router.route(topic);
  for (let i = 0; i < route.targets; i++) route.deliverTo(i, publication);
}
