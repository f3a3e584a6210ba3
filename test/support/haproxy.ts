import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import net from 'node:net';
import { join } from 'node:path';
import { eventually } from './deadline.js';
import type { Scope } from './sockets.js';

const command = process.env.HAPROXY ?? 'haproxy';
const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin:/usr/local/sbin` };

export interface Haproxy {
  readonly pid: number;
  /** What it has said. */
  text(): string;
  /** Asks over its socket (`stats socket`). */
  ask(socket: string, question: string): Promise<string>;
  stop(): Promise<void>;
}

/** A real HAProxy with that configuration, which must open `port`; ended with the test. */
export async function startHaproxy(scope: Scope, folder: string, config: string, port: number): Promise<Haproxy> {
  const file = join(folder, 'haproxy.cfg');
  await writeFile(file, config);
  const child = spawn(command, ['-db', '-f', file], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (text += String(chunk)));
  const stop = () => ended(child);
  scope.after(stop);
  await eventually(10_000, 'HAProxy', () => {
    if (child.exitCode !== null) throw new Error(`HAProxy ended with ${child.exitCode}:\n${text}`);
    return answers(port);
  });
  return { pid: child.pid!, text: () => text, ask: askSocket, stop };
}

/** What `haproxy -c` thinks of a file: nothing, or its complaints. */
export function checkHaproxy(file: string): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, ['-c', '-q', '-f', file], { env }, (error, stdout, stderr) => {
      if (error !== null && error.code === 'ENOENT') reject(error);
      else resolve(`${stdout}${stderr}`);
    });
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill('SIGKILL');
  await exit;
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false));
    socket.once('connect', () => socket.destroy());
  });
}

async function askSocket(path: string, question: string): Promise<string> {
  const socket = net.connect({ path });
  let answer = '';
  socket.on('data', (chunk) => (answer += String(chunk)));
  socket.end(`${question}\n`);
  await once(socket, 'close', { signal: AbortSignal.timeout(5_000) });
  return answer;
}
