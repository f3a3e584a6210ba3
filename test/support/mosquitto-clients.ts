import { type ChildProcess, spawn } from 'node:child_process';
import { within } from './deadline.js';

export interface Finished {
  /** The exit code, or the signal. */
  readonly code: number | NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** One run of mosquitto_pub or mosquitto_sub. */
export interface ClientProcess {
  readonly child: ChildProcess;
  /** Lines of standard output so far. */
  readonly lines: readonly string[];
  /** Resolves with the first line, past or future, that matches. */
  line(wanted: RegExp, timeoutMs?: number): Promise<string>;
  /** Resolves when the process has ended. */
  finished(timeoutMs?: number): Promise<Finished>;
}

export interface ClientOptions {
  /** `$HOME`, where `.config/mosquitto_sub` is looked for. */
  readonly home: string;
  readonly stdin?: string;
}

export function startClient(
  command: string,
  args: readonly string[],
  { home, stdin = '' }: ClientOptions,
): ClientProcess {
  const env = { PATH: process.env.PATH, HOME: home, LANG: 'C' };
  // stdbuf: a line is a line as soon as it is printed, also in a pipe.
  const child = spawn('stdbuf', ['-oL', command, ...args], { env, stdio: 'pipe', cwd: home });
  child.stdin.on('error', () => {});
  child.stdin.end(stdin);
  let [stdout, stderr] = ['', ''];
  const wakers: (() => void)[] = [];
  const wake = () => {
    for (const waker of wakers.splice(0)) waker();
  };
  child.stdout.on('data', (chunk) => {
    stdout += String(chunk);
    wake();
  });
  child.stderr.on('data', (chunk) => {
    stderr += String(chunk);
    wake();
  });
  let code: number | NodeJS.Signals | null = null;
  const ended = new Promise<Finished>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (status, signal) => {
      code = status ?? signal;
      wakers.push(() => {});
      wake();
      resolve({ code, stdout, stderr });
    });
  });
  ended.catch(() => {});
  const seen = () => `${command} ${args.join(' ')} printed:\n${stdout}${stderr}`;
  const lines = () => stdout.split('\n').slice(0, -1);
  return {
    child,
    get lines() {
      return lines();
    },
    async line(wanted, timeoutMs = 10_000) {
      const search = async () => {
        for (;;) {
          const found = lines().find((line) => wanted.test(line));
          if (found !== undefined) return found;
          if (code !== null) throw new Error(`no line matched ${wanted}; ${seen()}`);
          await new Promise<void>((resolve) => wakers.push(resolve));
        }
      };
      return within(timeoutMs, `a line that matches ${wanted}`, search()).catch((error) => {
        throw new Error(`${(error as Error).message}; ${seen()}`);
      });
    },
    finished: (timeoutMs = 10_000) =>
      within(timeoutMs, `the end of ${command}`, ended).catch((error) => {
        child.kill('SIGKILL');
        throw new Error(`${(error as Error).message}; ${seen()}`);
      }),
  };
}
