// Long: packs, installs and compiles as a project that uses the package does.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { packageFolder } from '../../src/config/package-folder.js';
import { namedBlocks } from '../support/doc-blocks.js';
import { type PackedFolder, PackedProject } from '../support/packed-project.js';

// docs/testing.md, tried as a new user would: in an empty project, with the package as it is published. Its examples are
// the tests here; those that need it are also run with clients that have a bug, and must then fail.

const deadline = { timeout: 120_000 };
let project: PackedProject | undefined;
let blocks: Map<string, string>;
const taken = new Set<string>();

before(async () => {
  blocks = await namedBlocks('docs/testing.md');
  project = await PackedProject.create(['mqtt', 'typescript', '@types/node']);
}, deadline);
after(() => project?.remove());

/** The code of an example, with replacements that must fit. */
function example(name: string, ...replacements: readonly (readonly [from: string, to: string])[]): string {
  let code = blocks.get(name);
  assert.ok(code !== undefined, `docs/testing.md has no ${name}`);
  taken.add(name);
  for (const [from, to] of replacements) {
    assert.ok(code.includes(from), `${name} does not say ${from}`);
    code = code.replace(from, to);
  }
  return code;
}

/** A folder of its own for each test, since they run side by side: most of their time is waiting. */
class Workplace {
  readonly #folder: PackedFolder;

  private constructor(folder: PackedFolder) {
    this.#folder = folder;
  }

  static async create(name: string): Promise<Workplace> {
    return new Workplace(await project!.subfolder(name));
  }

  write(file: string, text: string): Promise<void> {
    return this.#folder.write(file, text);
  }

  async expectRun(code: number, command: string, ...args: readonly string[]): Promise<string> {
    const finished = await this.#folder.run(command, ...args);
    assert.equal(finished.code, code, finished.output);
    return finished.output;
  }

  nodeTest(code: number, ...args: readonly string[]): Promise<string> {
    return this.expectRun(code, process.execPath, '--test', ...args);
  }

  /** One file, without the runner in front of it: half as many processes. */
  recipe(code: number, file: string): Promise<string> {
    return this.expectRun(code, process.execPath, file);
  }

  async compile(...args: readonly string[]): Promise<void> {
    const tsc = join(project!.folder, 'node_modules/typescript/bin/tsc');
    const options = ['--module', 'nodenext', '--target', 'es2022', '--lib', 'es2022,esnext.disposable', '--strict'];
    await this.expectRun(0, process.execPath, tsc, ...options, '--types', 'node', ...args);
  }
}

describe('the examples of the page', { concurrency: 4 }, () => {
  test('TypeScript, ES modules: the first example', deadline, async () => {
    const place = await Workplace.create('esm');
    await place.write('first.test.mts', example('first.test.ts'));
    // mqtt.js's own declarations want those of a browser.
    await place.compile('--skipLibCheck', 'first.test.mts');
    await place.nodeTest(0, 'first.test.mjs');
  });

  test('TypeScript, CommonJS; the types name nothing that a project does not have', deadline, async () => {
    const place = await Workplace.create('commonjs');
    await place.write(
      'types.test.cts',
      `import assert = require('node:assert/strict');
    import { test } from 'node:test';
    import { startBroker, type StartOptions, type TestBroker, type SeenMessage } from 'iotlab-broker/testing';
    import testing = require('iotlab-broker/testing');
    const options: StartOptions = { users: { alice: 'secret' }, limits: { inflightMessages: 3 }, clock: 'manual' };
    test('types', async () => {
      const broker: TestBroker = await startBroker(options);
      await broker.publish('alice', 'iotlab/alice/x', 'y');
      const seen: readonly testing.SeenMessage[] = await broker.waitForMessage('#', { count: 1 });
      const one: SeenMessage = await broker.waitForMessage('#');
      assert.equal(seen[0]?.text, one.text);
      // @ts-expect-error: there is no such fault
      assert.throws(() => broker.faults.certificate('odd'));
      await broker.stop();
    });`,
    );
    await place.compile('types.test.cts');
    await place.nodeTest(0, 'types.test.cjs');
  });

  test('fixtures: node:test as it is; Vitest, Jest and Mocha on stand-ins for their functions', deadline, async () => {
    const place = await Workplace.create('fixtures');
    await place.write('node.test.mjs', example('node.test.mjs'));
    await place.write(
      'stand-in.mjs',
      `import assert from 'node:assert/strict';
    export { after as afterAll, before as beforeAll, test } from 'node:test';
    export const expect = (actual) => ({ toBe: (expected) => assert.equal(actual, expected) });`,
    );
    await place.write('vitest.test.mjs', example('vitest.test.mjs', ["'vitest'", "'./stand-in.mjs'"]));
    await place.write(
      'globals.mjs',
      "import * as jest from './stand-in.mjs';\nObject.assign(globalThis, jest, { before: jest.beforeAll, after: jest.afterAll, it: jest.test });",
    );
    await place.write('mocha.test.mjs', example('mocha.test.mjs'));
    await place.write('jest.test.js', example('jest.test.js'));
    await place.nodeTest(0, 'node.test.mjs', 'vitest.test.mjs');
    await place.nodeTest(0, '--import', './globals.mjs', 'jest.test.js', 'mocha.test.mjs');
  });

  test("other languages: mosquitto's clients and paho, with the command as it is installed", deadline, async () => {
    const place = await Workplace.create('languages');
    assert.equal(await place.expectRun(0, 'sh', '-c', example('shell.sh').replaceAll('npx ', '')), 'on\n');
    await place.write('paho_test.py', example('paho_test.py'));
    assert.equal(
      await place.expectRun(0, 'iotlab-broker', 'test', '--', '/usr/bin/python3', 'paho_test.py'),
      'world\n',
    );
  });

  test('a client that reconnects; one that forgets to subscribe again is caught', deadline, async () => {
    const place = await Workplace.create('reconnect');
    await place.write(
      'reconnect.test.mjs',
      example('reconnect.test.mjs', ['startBroker({', 'startBroker({ timeoutMs: 2_000,']),
    );
    await place.write('logger.mjs', example('logger.mjs'));
    await place.recipe(0, 'reconnect.test.mjs');
    const forgetful = [["client.on('connect'", "client.once('connect'"]] as const;
    await place.write('logger.mjs', example('logger.mjs', ...forgetful));
    assert.match(await place.recipe(1, 'reconnect.test.mjs'), /A client did not subscribe to iotlab\/alice\/#/);
    await place.write('logger.mjs', example('logger.mjs', ...forgetful, ['clean: false', 'clean: true']));
    assert.match(await place.recipe(1, 'reconnect.test.mjs'), /alice "logger" \(MQTT 3\.1\.1\) without subscriptions/);
  });

  test(
    'a subscriber that must not lose data; one that acknowledges before it has saved is caught',
    deadline,
    async () => {
      const place = await Workplace.create('save');
      await place.write('save.test.mjs', example('save.test.mjs'));
      await place.write('logger.mjs', example('logger.mjs'));
      await place.recipe(0, 'save.test.mjs');
      const hasty = ['.then(() => done(), done);', '; done();'] as const;
      await place.write('logger.mjs', example('logger.mjs', hasty));
      assert.match(await place.recipe(1, 'save.test.mjs'), /acknowledged before it was saved/);
    },
  );

  test('a publisher that must not lose data; one that does not send again is caught', deadline, async () => {
    const place = await Workplace.create('redeliver');
    await place.write(
      'redeliver.test.mjs',
      example('redeliver.test.mjs', ['startBroker({', 'startBroker({ timeoutMs: 2_000,']),
    );
    await place.write('sensor.mjs', example('sensor.mjs'));
    await place.recipe(0, 'redeliver.test.mjs');
    await place.write('sensor.mjs', example('sensor.mjs', ['{ qos: 1 }', '{ qos: 0 }']));
    assert.match(await place.recipe(1, 'redeliver.test.mjs'), /loseAcknowledgement has struck 0 of 1 times/);
  });

  test('credentials that expire; a client that keeps the old ones is caught', deadline, async () => {
    const place = await Workplace.create('credentials');
    await place.write(
      'credentials.test.mjs',
      example('credentials.test.mjs', ['startBroker({', 'startBroker({ timeoutMs: 2_000,']),
    );
    await place.write('sensor.mjs', example('sensor.mjs'));
    await place.recipe(0, 'credentials.test.mjs');
    await place.write('sensor.mjs', example('sensor.mjs', ["client.on('close'", "client.on('never'"]));
    assert.match(
      await place.recipe(1, 'credentials.test.mjs'),
      /connection refused login=alice .*reason=wrong-password/,
    );
  });

  test('certificates; a client that checks none is caught', deadline, async () => {
    const place = await Workplace.create('certificate');
    await place.write(
      'certificate.test.mjs',
      example('certificate.test.mjs', ['startBroker({', 'startBroker({ timeoutMs: 2_000,']),
    );
    await place.write('sensor.mjs', example('sensor.mjs'));
    await place.recipe(0, 'certificate.test.mjs');
    await place.write(
      'sensor.mjs',
      example('sensor.mjs', ["protocol: 'mqtts',", "protocol: 'mqtts', rejectUnauthorized: false,"]),
    );
    assert.match(await place.recipe(1, 'certificate.test.mjs'), /certificate has struck 1 of 2 times/);
  });

  test('a publish that is denied, and why', deadline, async () => {
    const place = await Workplace.create('denial');
    await place.write('denial.test.mjs', example('denial.test.mjs'));
    await place.recipe(0, 'denial.test.mjs');
  });

  test('time that is moved by hand', deadline, async () => {
    const place = await Workplace.create('time');
    await place.write('keepalive.test.mjs', example('keepalive.test.mjs'));
    await place.recipe(0, 'keepalive.test.mjs');
  });
});

test('every example of the page was run, and every block of code in it has a name', deadline, async () => {
  assert.deepEqual(
    [...blocks.keys()].filter((name) => !taken.has(name)),
    [],
  );
  const text = await readFile(join(packageFolder(), 'docs/testing.md'), 'utf8');
  assert.deepEqual(text.match(/^```\w+$/gm), null);
});
