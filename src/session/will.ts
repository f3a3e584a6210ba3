import { Publication } from '../mqtt/publication.js';
import type { WillRequest } from './codec.js';
import type { Services } from './services.js';
import type { Session } from './session.js';

/**
 * A client's Will. It is in the store for as long as its connection lives, so that it can be published when the broker
 * is started again after a crash; it leaves the store in the group that its message enters it.
 */
export class Will {
  private readonly services: Services;
  private readonly session: Session;
  private readonly request: WillRequest;

  constructor(services: Services, session: Session, request: WillRequest) {
    this.services = services;
    this.session = session;
    this.request = request;
    services.store.putWill(session.id, {
      clientId: session.id,
      login: session.login,
      topic: request.topic,
      payload: request.payload,
      qos: request.qos,
      retain: request.retain,
      properties: null,
      delaySeconds: 0,
    });
  }

  /** The client said goodbye: the Will is not published [MQTT-3.1.2-10]. */
  discard(): void {
    this.services.store.deleteWill(this.session.id);
  }

  /** The connection ended any other way: the Will is published [MQTT-3.1.2-8]. */
  fire(): void {
    const { topic, payload, qos, retain } = this.request;
    publishWill(this.services, { login: this.session.login, topic, payload, qos, retain });
    this.services.store.deleteWill(this.session.id);
  }
}

/** Publishes a Will if its owner may write to its topic now; otherwise it is dropped, as a denied publish is. */
export function publishWill(services: Services, will: WillRequest & { readonly login: string }): void {
  const { login, topic, payload, qos, retain } = will;
  if (!services.acl.forLogin(login).publish(topic).allowed) {
    services.counters.publishesDenied++;
    services.noisyLog.line(`will-denied:${login}`, (suppressed) =>
      services.log.warn({ login, topic: topic.slice(0, 200), suppressed }, 'Will denied'),
    );
    return;
  }
  const publication = Publication.of(topic, payload, qos, retain, login);
  services.hub.send(publication, null);
  if (publication.ticket !== null) services.hub.commit(publication.ticket);
}
