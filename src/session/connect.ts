import { randomUUID } from 'node:crypto';
import { ConnectCode } from '../mqtt/packets.js';
import { isValidTopicName } from '../mqtt/topics.js';
import {
  type ConnectRequest,
  connack,
  connackVersion5Refused,
  decodeConnect,
  ProtocolError,
  protocolLevel,
} from './codec.js';
import type { Connection } from './connection.js';
import { Incoming } from './incoming.js';
import type { Identification } from './services.js';
import { scopedId } from './sessions.js';
import { Will } from './will.js';

/** Longer client ids are refused: they are keys of the store and stand in every log line. */
const CLIENT_ID_BYTES = 1_024;

/** Handles a CONNECT, from its bytes to CONNACK. `frame` is the whole packet. */
export function connect(connection: Connection, frame: Buffer, bodyStart: number): void {
  const version = protocolLevel(frame.subarray(bodyStart));
  if (version === null) throw new ProtocolError('MQTT-3.1.2-1', 'CONNECT does not name MQTT');
  if (version.supported === 5) {
    connection.refuse(connackVersion5Refused);
    logRefusal(connection, undefined, undefined, 'unsupported-protocol', { protocolLevel: 5 });
    return;
  }
  if (version.supported === null) {
    connection.refuse(connack(ConnectCode.UNACCEPTABLE_PROTOCOL, false)); // [MQTT-3.1.2-2]
    logRefusal(connection, undefined, undefined, 'unsupported-protocol', { protocolLevel: version.level });
    return;
  }
  const request = decodeConnect(frame, bodyStart);
  if (request.will !== null && !isValidTopicName(request.will.topic)) {
    throw new ProtocolError('MQTT-3.1.3-10', 'a Will topic that is empty or has a wildcard');
  }
  const { clientId, clean, level } = request;
  // MQTT 3.1 has no assigned client ids; 3.1.1 has them for clean sessions only [MQTT-3.1.3-8].
  if ((clientId === '' && (level === 3 || !clean)) || Buffer.byteLength(clientId) > CLIENT_ID_BYTES) {
    connection.refuse(connack(ConnectCode.IDENTIFIER_REJECTED, false));
    logRefusal(connection, request.username, clientId, 'client-id-rejected');
    return;
  }
  void identify(connection, request);
}

async function identify(connection: Connection, request: ConnectRequest): Promise<void> {
  const { services } = connection;
  try {
    const who = await services.hub.identify(connection, request.username, request.password);
    if (connection.closed) return;
    accept(connection, request, who);
  } catch (error) {
    services.log.error({ err: error, login: request.username }, 'CONNECT could not be handled');
    connection.close('internal-error');
  }
}

function accept(connection: Connection, request: ConnectRequest, who: Identification): void {
  const { services } = connection;
  const { sessions, limits } = services;
  if (who.kind === 'refused') {
    connection.refuse(connack(ConnectCode.NOT_AUTHORISED, false));
    logRefusal(connection, request.username, request.clientId, who.reason);
    return;
  }
  if (who.kind === 'unavailable') {
    connection.refuse(connack(ConnectCode.SERVER_UNAVAILABLE, false));
    logRefusal(connection, request.username, request.clientId, 'backend-unavailable', { code: who.error.code });
    return;
  }
  if (services.store.fault !== null && (!request.clean || request.will !== null)) {
    connection.refuse(connack(ConnectCode.SERVER_UNAVAILABLE, false));
    logRefusal(connection, who.login, request.clientId, 'store-fault', { code: services.store.fault.code });
    return;
  }
  const account = sessions.account(who.login);
  const clientId = request.clientId === '' ? `auto-${randomUUID()}` : request.clientId; // [MQTT-3.1.3-6]
  const id = scopedId(who.login, clientId);
  if (account.connections.size >= limits.connectionsPerUser && !sessions.get(id)?.connection) {
    connection.refuse(connack(ConnectCode.SERVER_UNAVAILABLE, false));
    logRefusal(connection, who.login, clientId, 'too-many-connections', { limit: limits.connectionsPerUser });
    sessions.release(account);
    return;
  }
  connection.id = id;
  connection.account = account;
  connection.outbox.account = account;
  // Before an older connection leaves: an account without any would be forgotten, and its limits with it.
  account.connections.add(connection);
  services.hub.register(connection); // Closes an older connection with this client id first [MQTT-3.1.4-2].
  const opened = sessions.open(account, clientId, request.clean, request.level);
  if (opened === null) {
    services.hub.unregister(connection);
    connection.refuse(connack(ConnectCode.SERVER_UNAVAILABLE, false));
    logRefusal(connection, who.login, clientId, 'too-many-sessions', { limit: limits.sessionsPerUser });
    return;
  }
  const { session, present } = opened;
  session.connection = connection;
  connection.session = session;
  connection.proof = who.proof;
  connection.keepaliveMs = request.keepaliveSeconds * 1_500;
  connection.incoming = new Incoming(connection, services, session);
  if (request.will !== null) connection.will = new Will(services, session, request.will);
  services.counters.connectionsAccepted++;
  services.log.info(
    {
      login: who.login,
      client: clientId,
      address: connection.address,
      protocol: request.level === 3 ? '3.1' : '3.1.1',
      clean: request.clean,
      ...(present ? { sessionPresent: true } : {}),
      ...(who.stale ? { stale: true } : {}),
    },
    'connected',
  );
  connection.accepted();
  const answer = () => {
    // [MQTT-3.2.2-2] [MQTT-3.2.2-3]; in MQTT 3.1 the byte is reserved and stays 0.
    connection.outbox.packet(connack(ConnectCode.ACCEPTED, present && request.level > 3));
    session.outgoing.attach(connection.outbox);
    connection.resume();
  };
  if (session.writer === null && connection.will === null) {
    answer();
    return;
  }
  // What CONNACK promises, a kept session or a Will, survives a crash from then on.
  services.store.committed((fault) => {
    if (connection.closed) return;
    if (fault === null) answer();
    else connection.close('store-fault');
  });
}

function logRefusal(
  connection: Connection,
  login: string | undefined,
  clientId: string | undefined,
  reason: string,
  more: object = {},
): void {
  const { log, noisyLog } = connection.services;
  const { address } = connection;
  noisyLog.line(`refused:${address}:${login?.slice(0, 64)}:${reason}`, (suppressed) =>
    log.warn(
      {
        login: login?.slice(0, 64),
        client: clientId?.slice(0, 64),
        address,
        reason,
        ...more,
        ...(suppressed > 0 ? { suppressed } : {}),
      },
      'connection refused',
    ),
  );
}
