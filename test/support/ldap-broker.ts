import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { BrokerProcess } from './broker-process.js';
import type { Address } from './exact-clients.js';
import { mqttLogin } from './mqtt-login.js';
import { type Slapd, serviceDn, servicePassword } from './slapd.js';
import { tempFolder } from './temp-folder.js';

export const passwordOf = (login: string) => `password of ${login}`;
export const logins = Array.from({ length: 50 }, (_, index) => `user${index}`);
export const users = new Map(logins.map((login) => [login, passwordOf(login)]));

/** The broker as it is started in earnest, with the directory behind `port`. */
export async function brokerOn(t: TestContext, slapd: Slapd, port: number, credentials: object = {}) {
  const folder = await tempFolder(t);
  const broker = await BrokerProcess.prepare(folder, {}, { connectionsPerAddress: 5_000 });
  const file = join(folder, 'broker.yaml');
  const config = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(join(folder, 'service-password'), servicePassword);
  const ldap = {
    urls: [`ldap://127.0.0.1:${port}`],
    searchBase: slapd.people,
    serviceDn,
    servicePasswordFile: 'service-password',
  };
  config.credentials = { backend: 'ldap', ldap, ...credentials };
  await writeFile(file, JSON.stringify(config));
  const address = await broker.start();
  t.after(() => broker.kill());
  return { broker, address };
}

/** Logs in and keeps the connection until the test ends. */
export async function login(t: TestContext, address: Address, username: string, password = passwordOf(username)) {
  const client = await mqttLogin(address, { username, password, clientId: `${username}-${Math.random()}` });
  t.after(() => client.socket.destroy());
  return client;
}
