import { spawn } from 'node:child_process';

/**
 * Runs one command line as a person at a terminal would. Resolves with its exit code and what it printed; kills it, and
 * says so, when it takes longer than `timeoutMs`. `until` resolves as soon as the output matches, with the rest going on.
 * `typing` is what the person types, each after the output has matched.
 */
export function shell(line, { env, cwd, timeoutMs = 60_000, until, typing = [] } = {}) {
  const keys = [...typing];
  const stdio = [keys.length > 0 ? 'pipe' : 'ignore', 'pipe', 'pipe'];
  const child = spawn('bash', ['-c', line], { env, cwd, stdio, detached: true });
  let output = '';
  let stdout = '';
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    end();
  }, timeoutMs);
  function end() {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It has ended by itself.
    }
  }
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => {
      clearTimeout(timer);
      resolve({ code, output, stdout: stdout.trim(), timedOut });
    });
  });
  const matched = new Promise((resolve, reject) => {
    let typedAt = 0;
    const look = () => {
      if (until?.test(output)) resolve();
      const [wanted, text] = keys[0] ?? [];
      if (wanted === undefined || !wanted.test(output.slice(typedAt))) return;
      keys.shift();
      typedAt = output.length;
      child.stdin.write(text);
    };
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
        if (stream === child.stdout) stdout += text;
        look();
      });
    }
    if (until) ended.then(() => reject(new Error(`ended before ${until} came: ${line}\n${output}`)), reject);
  });
  return until ? matched.then(() => ({ ended, end })) : ended;
}
