import { createHash, pbkdf2, randomBytes, randomInt, scrypt, timingSafeEqual } from 'node:crypto';
import { promisify } from 'node:util';

const pbkdf2Async = promisify(pbkdf2);

/**
 * A stored password hash, ready to check against. `check` never throws for a password, however odd, compares in
 * constant time, and does the expensive part on libuv's threads.
 */
export interface PasswordHash {
  readonly scheme: 'scrypt' | 'mosquitto-6' | 'mosquitto-7';
  /** The same for two hashes that take equally long to check. */
  readonly cost: string;
  check(password: string): Promise<boolean>;
}

/**
 * 2^14 rounds of 8 blocks take 16 MiB and 42 ms of one thread's CPU (2^13: 20 ms), so 50 users who start together need
 * two seconds of CPU. Logging in is rare (the guard remembers accepted passwords for a while) and guessing is throttled;
 * more would turn the start of a small computer into time-outs.
 */
const ours = { logN: 14, r: 8, p: 1, saltBytes: 16, keyBytes: 32 };

/** A file that somebody else wrote must not be able to make one check cost minutes or gigabytes. */
const limits = { logN: 17, r: 32, p: 16, scryptBytes: 128 * 1024 * 1024, pbkdf2Iterations: 5_000_000, bytes: 1024 };

/** Without those that are taken for one another (0 O o, 1 l I), and without any that a shell treats specially. */
const alphabet = 'ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789';

/** 20 characters that can be typed and pasted anywhere unquoted: 115 bits. */
export function randomPassword(): string {
  return Array.from({ length: 20 }, () => alphabet[randomInt(alphabet.length)]).join('');
}

/** Hashes a new password: `$scrypt$ln=14,r=8,p=1$<salt>$<key>`, the PHC string format. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(ours.saltBytes);
  return ourText(salt, await derive(password, salt, ours.keyBytes, ours.logN, ours.r, ours.p));
}

/** As dear to check as one of `hashPassword`'s, and of no password: nobody needed to hash one for it. */
export function unmatchedHash(): PasswordHash {
  const hash = parsePasswordHash(ourText(randomBytes(ours.saltBytes), randomBytes(ours.keyBytes)));
  if ('problem' in hash) throw new Error(`unreadable: ${hash.problem}`);
  return hash;
}

function ourText(salt: Buffer, key: Buffer): string {
  return `$scrypt$ln=${ours.logN},r=${ours.r},p=${ours.p}$${unpadded(salt)}$${unpadded(key)}`;
}

/** Reads a hash; on failure says in words what is wrong with it, without repeating any of it. */
export function parsePasswordHash(text: string): PasswordHash | { readonly problem: string } {
  if (text.startsWith('$scrypt$')) return parseScrypt(text);
  if (text.startsWith('$7$')) return parseMosquitto7(text);
  if (text.startsWith('$6$')) return parseMosquitto6(text);
  if (text === '') return { problem: 'there is no hash after the colon' };
  if (text.startsWith('$argon2')) {
    return { problem: 'argon2 hashes are not supported; make one with mosquitto_passwd -H sha512-pbkdf2' };
  }
  return { problem: 'not a password hash of a known kind ($scrypt$, $6$ or $7$); a password in plain text, perhaps' };
}

function parseScrypt(text: string): PasswordHash | { readonly problem: string } {
  const match = /^\$scrypt\$ln=(\d{1,2}),r=(\d{1,3}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text);
  const salt = match && decode(match[4]!);
  const key = match && decode(match[5]!);
  if (!match || !salt || !key || key.length < 16) return { problem: 'a damaged $scrypt$ hash' };
  const [logN, r, p] = [Number(match[1]), Number(match[2]), Number(match[3])];
  if (logN < 1 || r < 1 || p < 1) return { problem: 'a damaged $scrypt$ hash' };
  if (logN > limits.logN || r > limits.r || p > limits.p || 128 * 2 ** logN * r > limits.scryptBytes) {
    return { problem: 'a $scrypt$ hash that costs too much to check' };
  }
  return {
    scheme: 'scrypt',
    cost: `scrypt ${logN} ${r} ${p} ${key.length}`,
    check: async (password) => timingSafeEqual(await derive(password, salt, key.length, logN, r, p), key),
  };
}

/** mosquitto_passwd's present default: PBKDF2 with HMAC-SHA-512, `$7$<iterations>$<salt>$<key>`, padded base64. */
function parseMosquitto7(text: string): PasswordHash | { readonly problem: string } {
  const match = /^\$7\$(\d{1,9})\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/.exec(text);
  const salt = match && decode(match[2]!);
  const key = match && decode(match[3]!);
  const iterations = match ? Number(match[1]) : 0;
  if (!match || !salt || key?.length !== 64 || iterations < 1) return { problem: 'a damaged $7$ hash' };
  if (iterations > limits.pbkdf2Iterations) return { problem: 'a $7$ hash that costs too much to check' };
  return {
    scheme: 'mosquitto-7',
    cost: `mosquitto-7 ${iterations}`,
    check: async (password) =>
      timingSafeEqual(await pbkdf2Async(password, salt, iterations, key.length, 'sha512'), key),
  };
}

/** mosquitto_passwd before 2.0: SHA-512 over password and salt, one round, `$6$<salt>$<digest>`. */
function parseMosquitto6(text: string): PasswordHash | { readonly problem: string } {
  const match = /^\$6\$([A-Za-z0-9+/]+={0,2})\$([A-Za-z0-9+/]+={0,2})$/.exec(text);
  const salt = match && decode(match[1]!);
  const digest = match && decode(match[2]!);
  if (!match || !salt || digest?.length !== 64) {
    return { problem: "a damaged $6$ hash (or one of the system's crypt(3), which is another kind)" };
  }
  return {
    scheme: 'mosquitto-6',
    cost: 'mosquitto-6',
    check: async (password) => timingSafeEqual(createHash('sha512').update(password).update(salt).digest(), digest),
  };
}

function derive(password: string, salt: Buffer, keyBytes: number, logN: number, r: number, p: number): Promise<Buffer> {
  const N = 2 ** logN;
  // OpenSSL counts a little more than the 128·N·r of the definition, and refuses at its limit.
  const maxmem = 128 * N * r + 128 * r * p + 1024 * 1024;
  return new Promise((resolve, reject) => {
    scrypt(password, salt, keyBytes, { N, r, p, maxmem }, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

const unpadded = (bytes: Buffer): string => bytes.toString('base64').replaceAll('=', '');

/** Null unless the text is exactly what encoding the bytes gives: Node's own decoder skips what it doesn't know. */
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64');
  if (bytes.length === 0 || bytes.length > limits.bytes) return null;
  return unpadded(bytes) === text.replaceAll('=', '') ? bytes : null;
}
