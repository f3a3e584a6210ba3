import { createInterface } from 'node:readline/promises';
import { Writable } from 'node:stream';
import { UsageError } from '../errors.js';
import type { CommandIo } from './command.js';

const maxPasswordBytes = 1024;
const TOO_LONG = `a password of more than ${maxPasswordBytes} bytes can never log in`;

/**
 * Asks on the terminal without showing what is typed; twice when it is a new one. Throws `UsageError` when the two
 * differ.
 */
export async function askPassword(io: CommandIo, login: string, { twice = true } = {}): Promise<string> {
  if (io.stdin.isTTY !== true) {
    const remedy = twice ? '--password-stdin or --random' : '--password-stdin';
    throw new UsageError(`there is no terminal to ask for a password: use ${remedy}`);
  }
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const terminal = createInterface({ input: io.stdin, output: silent, terminal: true, historySize: 0 });
  const interrupted = new AbortController();
  terminal.on('SIGINT', () => interrupted.abort());
  terminal.on('close', () => interrupted.abort());
  const ask = async (prompt: string): Promise<string> => {
    io.stderr.write(prompt);
    try {
      return await terminal.question('', { signal: interrupted.signal });
    } catch (error) {
      throw new UsageError('no password given', { cause: error });
    } finally {
      io.stderr.write('\n');
    }
  };
  try {
    const password = checkPassword(await ask(`Password for ${login}: `));
    if (twice && (await ask('Again: ')) !== password) throw new UsageError('the two passwords differ');
    return password;
  } finally {
    terminal.close();
  }
}

/** The first and only line of the standard input. */
export async function readPassword(io: CommandIo): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of io.stdin) {
    const buffer = Buffer.from(chunk);
    bytes += buffer.length;
    if (bytes > maxPasswordBytes + 2) throw new UsageError(TOO_LONG);
    chunks.push(buffer);
  }
  let text: string;
  try {
    text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(chunks));
  } catch (error) {
    throw new UsageError('--password-stdin: the password is not UTF-8', { cause: error });
  }
  const password = text.replace(/\r?\n$/, '');
  if (/[\r\n]/.test(password)) throw new UsageError('--password-stdin: more than one line on the standard input');
  return checkPassword(password);
}

/** What the broker could never accept must not become a password. */
function checkPassword(password: string): string {
  const why = whyNoPassword(password);
  if (why !== null) throw new UsageError(why);
  return password;
}

/** Null for what may be one. */
export function whyNoPassword(password: string): string | null {
  if (password === '') return 'an empty password can never log in';
  if (Buffer.byteLength(password) > maxPasswordBytes) return TOO_LONG;
  return password.includes('\0') ? 'a password cannot hold a zero byte' : null;
}
