import net from 'node:net';

const TIMEOUT_MS = 2_000;
const LARGEST_ANSWER_BYTES = 1024 * 1024;

/** Gives a command to HAProxy over its socket (`stats socket`), and resolves with the answer. */
export function askProxy(path: string, command: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect({ path });
    let answer = '';
    socket.setTimeout(TIMEOUT_MS, () => socket.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
    socket.on('data', (chunk) => {
      answer += String(chunk);
      if (answer.length > LARGEST_ANSWER_BYTES) socket.destroy(new Error('the answer is too long'));
    });
    socket.once('error', reject).once('close', () => resolve(answer.trim()));
    // Half-closed, HAProxy would answer all the same; but only the newline makes it a command.
    socket.end(`${command}\n`);
  });
}
