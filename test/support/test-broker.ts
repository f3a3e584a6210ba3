import { after, before } from 'node:test';
import type { LimitsConfig } from '../../src/config/config.js';
import { type Mosquitto, startMosquitto } from './mosquitto.js';
import type { Target } from './raw-client.js';

export interface TestBrokerOptions {
  readonly users?: readonly string[];
  readonly acl?: readonly { access: 'read' | 'write' | 'readwrite'; topic: string }[];
  readonly limits?: Partial<LimitsConfig>;
}

/** One broker for all tests of a file. */
export function useTestBroker(options: TestBrokerOptions = {}): Target {
  let broker: Mosquitto | undefined;
  before(async () => {
    const { users = ['alice', 'bob', 'al'], acl = [{ access: 'readwrite', topic: 'iotlab/%u/#' }] } = options;
    broker = await startMosquitto(
      users,
      acl.map(({ access, topic }) => `pattern ${access} ${topic}`),
      options.limits?.queuedMessages,
    );
  });
  after(() => broker?.stop());
  const running = () => {
    if (!broker) throw new Error('The broker runs only inside of a test');
    return broker;
  };
  return {
    get host() {
      return running().host;
    },
    get port() {
      return running().port;
    },
    get ca() {
      return running().ca;
    },
  };
}
