import { type ChildProcess, spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type Authority, makeAuthority } from '../../src/listener/certificates.js';
import { freePort } from './ports.js';

const suffix = 'dc=senslab,dc=info';
const people = `ou=People,${suffix}`;
const rootDn = `cn=admin,${suffix}`;
const rootPassword = 'root secret';

export const serviceDn = `cn=broker,ou=Services,${suffix}`;
export const servicePassword = 'service "secret" é';

export interface SlapdOptions {
  readonly users: ReadonlyMap<string, string>;
  /** Names in the server's certificate. */
  readonly certificateNames?: readonly string[];
  /** May somebody who did not log in read the entries? */
  readonly anonymousRead?: boolean;
  /** Refuse everything without TLS but StartTLS itself. */
  readonly requireTls?: boolean;
  readonly idleTimeoutSeconds?: number;
  /** Further LDIF entries, put below the suffix. */
  readonly ldif?: string;
  /** Lines of slapd.conf for the database: overlays and the like. */
  readonly database?: string;
  readonly modules?: readonly string[];
}

/** A real slapd with the testbed's tree, in a folder of its own. */
export class Slapd {
  readonly folder: string;
  readonly port: number;
  readonly tlsPort: number;
  readonly ca: string;
  readonly authority: Authority;
  /** What slapd logged of connections, operations and results. */
  readonly lines: string[] = [];
  #process: ChildProcess | null = null;
  #marks = 0;

  constructor(folder: string, port: number, tlsPort: number, authority: Authority) {
    this.folder = folder;
    this.port = port;
    this.tlsPort = tlsPort;
    this.ca = join(folder, 'ca.pem');
    this.authority = authority;
  }

  readonly people = people;
  readonly suffix = suffix;
  readonly bindDn = `uid=%u,${people}`;

  /** For the administrator's changes: works also where TLS is demanded or too many connections are open. */
  get #localUrl(): string {
    return `ldapi://${encodeURIComponent(join(this.folder, 'socket'))}`;
  }

  get url(): string {
    return `ldap://127.0.0.1:${this.port}`;
  }

  get tlsUrl(): string {
    return `ldaps://localhost:${this.tlsPort}`;
  }

  get pid(): number {
    return this.#process!.pid!;
  }

  /** Connections that slapd has accepted since it was started. */
  connections(): number {
    return this.lines.filter((line) => line.includes(' ACCEPT ')).length;
  }

  /** Binds that it was asked for, by DN; anonymous ones don't count. */
  binds(dn?: string): number {
    const bound = dn === undefined ? / BIND dn="[^"]+" method/ : new RegExp(` BIND dn="${dn}" method`);
    return this.lines.filter((line) => bound.test(line)).length;
  }

  /** Waits until everything that slapd has done so far is in `lines`. */
  async logged(): Promise<void> {
    this.#marks += 1;
    const mark = `cn=mark-${this.#marks},${suffix}`;
    await this.#seek(mark);
    for (const until = Date.now() + 5_000; !this.lines.some((line) => line.includes(`base="${mark}"`)); ) {
      if (Date.now() > until) throw new Error('slapd logs nothing');
      await new Promise((resolve) => setImmediate(resolve));
    }
  }

  async start(): Promise<void> {
    const urls = `ldap://127.0.0.1:${this.port} ldap://[::1]:${this.port} ldaps://127.0.0.1:${this.tlsPort} ${this.#localUrl}`;
    // 256: one line per connection, operation and result
    const child = spawn(slapdCommand(), ['-f', join(this.folder, 'slapd.conf'), '-h', urls, '-d', '256'], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = child;
    createInterface({ input: child.stderr! }).on('line', (line) => this.lines.push(line));
    const exited = once(child, 'exit').then(() => {
      throw new Error(`slapd ended:\n${this.lines.join('\n')}`);
    });
    exited.catch(() => {});
    await Promise.race([this.#answers(), exited]);
  }

  /** SIGTERM: slapd finishes what it is doing. SIGKILL: it doesn't. */
  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    const child = this.#process;
    this.#process = null;
    if (child === null || child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGCONT');
    child.kill(signal);
    const timer = setTimeout(() => child.kill('SIGKILL'), 5_000);
    await exited;
    clearTimeout(timer);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process!.kill(signal);
  }

  async remove(): Promise<void> {
    await this.stop('SIGKILL');
    await rm(this.folder, { recursive: true, force: true });
  }

  /** Applies changes in LDIF, as the administrator. */
  async modify(ldif: string): Promise<void> {
    await run('ldapmodify', ['-x', '-H', this.#localUrl, '-D', rootDn, '-w', rootPassword], ldif);
  }

  add(ldif: string): Promise<void> {
    return run('ldapadd', ['-x', '-H', this.#localUrl, '-D', rootDn, '-w', rootPassword], ldif);
  }

  addUser(login: string, password: string): Promise<void> {
    return this.add(`${userLdif(login, password)}\n`);
  }

  replace(login: string, attribute: string, value: string): Promise<void> {
    const line = `${attribute}:: ${Buffer.from(value).toString('base64')}`;
    return this.modify(`dn: uid=${login},${people}\nchangetype: modify\nreplace: ${attribute}\n${line}\n`);
  }

  setPassword(login: string, password: string): Promise<void> {
    return this.replace(login, 'userPassword', ssha(password));
  }

  removeUser(login: string): Promise<void> {
    return this.modify(`dn: uid=${login},${people}\nchangetype: delete\n`);
  }

  /** There is no such entry, which ldapsearch reports with exit code 32. */
  #seek(base: string): Promise<void> {
    return run('ldapsearch', ['-x', '-H', this.#localUrl, '-b', base, '-s', 'base'], '', [0, 32, 50]);
  }

  async #answers(): Promise<void> {
    for (const until = Date.now() + 15_000; ; ) {
      const socket = connect(this.port, '127.0.0.1');
      const ok = await once(socket, 'connect').then(
        () => true,
        () => false,
      );
      socket.destroy();
      if (ok) return;
      if (Date.now() > until) throw new Error(`slapd does not listen:\n${this.lines.join('\n')}`);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** Makes the folder, certificates and data, and starts it. */
export async function startSlapd(options: SlapdOptions): Promise<Slapd> {
  const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-slapd-'));
  const authority = makeAuthority();
  const slapd = new Slapd(folder, await freePort(), await freePort(), authority);
  const names = options.certificateNames ?? ['localhost', '127.0.0.1', '::1'];
  const { cert, key } = authority.issue({ names });
  try {
    await mkdir(join(folder, 'data'));
    await writeFile(slapd.ca, authority.cert);
    await writeFile(join(folder, 'cert.pem'), cert);
    await writeFile(join(folder, 'key.pem'), key, { mode: 0o600 });
    await writeFile(join(folder, 'slapd.conf'), configuration(folder, options));
    await writeFile(join(folder, 'tree.ldif'), tree(options));
    await run(slapdCommand('slapadd'), ['-q', '-f', join(folder, 'slapd.conf'), '-l', join(folder, 'tree.ldif')]);
    await slapd.start();
  } catch (error) {
    await slapd.remove();
    throw error;
  }
  return slapd;
}

/** LDIF of one user, as the testbed has them. */
export function userLdif(login: string, password: string, more = '', rdn = `uid=${login}`): string {
  const number = 10_000 + (createHash('sha256').update(login).digest().readUInt16BE(0) % 50_000);
  return [
    `dn: ${rdn},${people}`,
    'objectClass: inetOrgPerson',
    'objectClass: posixAccount',
    'objectClass: shadowAccount',
    `uid: ${login}`,
    `cn: ${login}`,
    `sn: ${login}`,
    `uidNumber: ${number}`,
    `gidNumber: ${number}`,
    `homeDirectory: /home/${login}`,
    `mail: ${login}@example.org`,
    'shadowExpire: -1',
    `userPassword:: ${Buffer.from(ssha(password)).toString('base64')}`,
    more,
  ]
    .filter((line) => line !== '')
    .join('\n');
}

function ssha(password: string): string {
  const salt = randomBytes(8);
  const digest = createHash('sha1').update(password).update(salt).digest();
  return `{SSHA}${Buffer.concat([digest, salt]).toString('base64')}`;
}

function tree({ users, ldif = '' }: SlapdOptions): string {
  const entries = [
    `dn: ${suffix}\nobjectClass: dcObject\nobjectClass: organization\no: senslab\ndc: senslab`,
    `dn: ${people}\nobjectClass: organizationalUnit\nou: People`,
    `dn: ou=Services,${suffix}\nobjectClass: organizationalUnit\nou: Services`,
    `dn: ${serviceDn}\nobjectClass: applicationProcess\nobjectClass: simpleSecurityObject\ncn: broker\n` +
      `userPassword:: ${Buffer.from(ssha(servicePassword)).toString('base64')}`,
    ...[...users].map(([login, password]) => userLdif(login, password)),
    ldif,
  ];
  return `${entries.join('\n\n')}\n`;
}

function configuration(folder: string, options: SlapdOptions): string {
  const { anonymousRead = false, requireTls = false, idleTimeoutSeconds = 0, modules = [], database = '' } = options;
  return `
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
include /etc/ldap/schema/nis.schema
modulepath /usr/lib/ldap
moduleload back_mdb
${modules.map((name) => `moduleload ${name}`).join('\n')}
pidfile ${folder}/pid
argsfile ${folder}/args
TLSCACertificateFile ${folder}/ca.pem
TLSCertificateFile ${folder}/cert.pem
TLSCertificateKeyFile ${folder}/key.pem
TLSVerifyClient never
idletimeout ${idleTimeoutSeconds}
localSSF 256
${requireTls ? 'security simple_bind=128' : ''}
threads 4
database mdb
suffix "${suffix}"
rootdn "${rootDn}"
rootpw "${rootPassword}"
directory ${folder}/data
maxsize 67108864
dbnosync
index objectClass,uid,mail eq
${database}
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="${serviceDn}" read by self read by anonymous ${anonymousRead ? 'read' : 'auth'} by * none
`;
}

function slapdCommand(name = 'slapd'): string {
  return [`/usr/sbin/${name}`, `/usr/local/sbin/${name}`].find((path) => existsSync(path)) ?? name;
}

async function run(command: string, args: readonly string[], input = '', success = [0]): Promise<void> {
  const child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] });
  const output: string[] = [];
  child.stdout.on('data', (chunk) => output.push(String(chunk)));
  child.stderr.on('data', (chunk) => output.push(String(chunk)));
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  if (!success.includes(code)) throw new Error(`${command} ended with ${code}: ${output.join('')}`);
}
