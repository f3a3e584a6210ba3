import { createLoginRule } from '../credentials/login.js';
import { UsageError } from '../errors.js';
import type { TestBroker } from './api.js';
import { Engine } from './engine.js';
import { EngineBroker } from './engine-broker.js';
import { configOf, type StartOptions } from './options.js';

export type { Clock } from '../clock.js';
export type {
  ClientInfo,
  ClientScope,
  ConnectOptions,
  MessageOptions,
  PublishOptions,
  SeenMessage,
  TestBroker,
  TestUsers,
  WaitOptions,
} from './api.js';
export type { CertificateKind, DropOptions, Fault, FaultScope, Faults, PacketName } from './fault-api.js';
export type { StartOptions } from './options.js';

/**
 * Starts a broker for a test: the service's own code, in this process, on a free port of the loopback interface, with a
 * throw-away CA. It accepts clients when the promise resolves. Rejects for options that the configuration would refuse.
 */
export async function startBroker(options: StartOptions = {}): Promise<TestBroker> {
  const config = await configOf(options);
  const engine = new Engine(config, options);
  const pattern = config.credentials.loginPattern;
  const isLogin = createLoginRule(pattern);
  const wrong = engine.users.logins.find((login) => !isLogin(login));
  if (wrong !== undefined) {
    throw new UsageError(
      `startBroker: users: ${JSON.stringify(wrong)} cannot log in (credentials.loginPattern: ${pattern})`,
    );
  }
  try {
    await engine.start();
    return new EngineBroker(engine, config.listener.host);
  } catch (error) {
    await engine.close();
    throw error;
  }
}
