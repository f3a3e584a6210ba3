// For CommonJS: the same function, which loads the ES modules when it is called.
import type * as esm from './index.js' with { 'resolution-mode': 'import' };

const testing = {
  /** See the function of this name in index.ts. */
  async startBroker(options: esm.StartOptions = {}): Promise<esm.TestBroker> {
    const { startBroker } = await import('./index.js');
    return startBroker(options);
  },
};

declare namespace testing {
  type CertificateKind = esm.CertificateKind;
  type ClientInfo = esm.ClientInfo;
  type ClientScope = esm.ClientScope;
  type Clock = esm.Clock;
  type ConnectOptions = esm.ConnectOptions;
  type DenialScope = esm.DenialScope;
  type DropOptions = esm.DropOptions;
  type Fault = esm.Fault;
  type Faults = esm.Faults;
  type FaultScope = esm.FaultScope;
  type LogLine = esm.LogLine;
  type MessageOptions = esm.MessageOptions;
  type MessageProperties = esm.MessageProperties;
  type PacketName = esm.PacketName;
  type PublishOptions = esm.PublishOptions;
  type SeenDenial = esm.SeenDenial;
  type SeenMessage = esm.SeenMessage;
  type StartOptions = esm.StartOptions;
  type TestBroker = esm.TestBroker;
  type TestUsers = esm.TestUsers;
  type WaitOptions = esm.WaitOptions;
}

export = testing;
