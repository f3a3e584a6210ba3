import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('../support/signalled-child.js', import.meta.url));
const deadline = { timeout: 20_000 };

interface Child {
  readonly process: ChildProcess;
  readonly lines: Record<string, unknown>[];
  /** Resolves with the next line that has this message, also one that came already. */
  said(message: string): Promise<Record<string, unknown>>;
  readonly left: Promise<number | null>;
}

/** Whatever becomes of the test, the process does not outlive it. */
function start(t: TestContext, ...args: string[]): Child {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.after(() => child.kill('SIGKILL'));
  const lines: Record<string, unknown>[] = [];
  const reader = createInterface({ input: child.stdout });
  reader.on('line', (line) => lines.push(JSON.parse(line)));
  const left = once(child, 'close').then(([code]) => code as number | null);
  const said = async (message: string) => {
    for (;;) {
      const line = lines.find(({ msg }) => msg === message);
      if (line !== undefined) return line;
      const ended = await Promise.race([once(reader, 'line').then(() => false), left.then(() => true)]);
      if (ended && !lines.some(({ msg }) => msg === message)) assert.fail(`never said: ${message}`);
    }
  };
  return { process: child, lines, said, left };
}

// Most of their time is waiting.
describe('until signalled', { concurrency: 4 }, () => {
  test('SIGTERM and SIGINT stop and leave with 0', deadline, async (t) => {
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      const child = start(t, 'well');
      await child.said('ready');
      child.process.kill(signal);
      assert.equal(await child.left, 0);
      assert.deepEqual(
        child.lines.map(({ msg }) => msg),
        ['ready', 'stopping'],
      );
    }
  });

  test('a signal while starting is obeyed once started', deadline, async (t) => {
    const child = start(t, 'slowly');
    await child.said('starting');
    child.process.kill('SIGINT');
    assert.equal(await child.left, 0);
    assert.deepEqual(
      child.lines.map(({ msg }) => msg),
      ['starting', 'stopping', 'ready'],
    );
  });

  test("a start that fails is the caller's to report", deadline, async (t) => {
    const child = start(t, 'not');
    assert.equal(await child.left, 7);
  });

  test('a second signal leaves at once with the code of that signal', deadline, async (t) => {
    for (const [signal, code] of [
      ['SIGTERM', 143],
      ['SIGINT', 130],
    ] as const) {
      const child = start(t, 'never');
      await child.said('ready');
      child.process.kill('SIGINT');
      await child.said('stopping');
      // A real second Ctrl-C: repeated until it is late enough to be taken for one.
      const again = setInterval(() => child.process.kill(signal), 50);
      t.after(() => clearInterval(again));
      assert.equal(await child.left, code);
      clearInterval(again);
      assert.ok(child.lines.some(({ msg }) => msg === 'second signal: leaving at once'));
    }
  });

  test('the same Ctrl-C arriving twice is one', deadline, async (t) => {
    const child = start(t, 'well');
    await child.said('ready');
    child.process.kill('SIGINT');
    child.process.kill('SIGINT');
    assert.equal(await child.left, 0);
  });

  test('stopping that fails, or never ends, leaves with 1 and says why', deadline, async (t) => {
    const failing = start(t, 'badly');
    await failing.said('ready');
    failing.process.kill('SIGTERM');
    assert.equal(await failing.left, 1);
    assert.deepEqual(failing.lines.at(-1)?.err, { message: 'the store is on fire' });
    const stuck = start(t, 'never', 'soon');
    await stuck.said('ready');
    stuck.process.kill('SIGTERM');
    assert.equal(await stuck.left, 1);
    assert.match(String(stuck.lines.at(-1)?.msg), /could not stop in time/);
  });

  test('SIGHUP reloads; a failed reload is logged and nothing else', deadline, async (t) => {
    const child = start(t, 'well');
    await child.said('ready');
    child.process.kill('SIGHUP');
    await child.said('reloaded');
    child.process.kill('SIGTERM');
    assert.equal(await child.left, 0);
    const failing = start(t, 'badly');
    await failing.said('ready');
    failing.process.kill('SIGHUP');
    assert.deepEqual((await failing.said('reloading failed')).err, { message: 'no such certificate' });
    failing.process.kill('SIGTERM');
    assert.equal(await failing.left, 1);
  });

  test('an error that nobody caught is logged with its stack and leaves with 1', deadline, async (t) => {
    for (const [manner, message] of [
      ['throw', 'bug one'],
      ['reject', 'bug two'],
    ] as const) {
      const child = start(t, manner);
      assert.equal(await child.left, 1);
      // Not always the last: it is written at once, past lines that are still on their way.
      const line = child.lines.find(({ level }) => level === 'fatal');
      assert.deepEqual(line?.err, { message });
      assert.match(String(line?.stack), /signalled-child/);
    }
  });
});
