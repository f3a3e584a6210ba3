import { createLoginRule } from '../credentials/login.js';
import { UsageError } from '../errors.js';
import type { TestBroker } from './api.js';
import { BrokerHandle } from './handle.js';
import { Harness } from './harness.js';
import { configOf, type StartOptions } from './options.js';

export type { Clock } from '../clock.js';
export type {
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
export type { CertificateKind, DropOptions, Fault, FaultScope, Faults, PacketName } from './fault-api.js';
export type { MessageProperties } from './message-properties.js';
export type { StartOptions } from './options.js';

/**
 * Starts a broker for a test: the service's own code, in this process, on a free port of the loopback interface, with a
 * throw-away CA. It accepts clients when the promise resolves. Rejects for options that the configuration would refuse.
 */
export async function startBroker(options: StartOptions = {}): Promise<TestBroker> {
  const config = await configOf(options);
  const harness = new Harness(config, options);
  const { loginPattern } = config.credentials;
  const isLogin = createLoginRule(loginPattern);
  const wrong = harness.users.logins.find((login) => !isLogin(login));
  if (wrong !== undefined) {
    throw new UsageError(
      `startBroker: users: ${JSON.stringify(wrong)} cannot log in (credentials.loginPattern: ${loginPattern})`,
    );
  }
  try {
    await harness.start();
    return new BrokerHandle(harness, config.listener.host);
  } catch (error) {
    await harness.close();
    throw error;
  }
}
