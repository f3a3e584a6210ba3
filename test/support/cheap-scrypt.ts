import { randomBytes, scryptSync } from 'node:crypto';

/** As `hashPassword` makes them, but for the rounds: for tests that check a hundred and are not about what that costs. */
export function cheapScrypt(password: string): string {
  const [logN, salt] = [4, randomBytes(16)];
  const text = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=${logN},r=8,p=1$${text(salt)}$${text(scryptSync(password, salt, 32, { N: 2 ** logN, r: 8, p: 1 }))}`;
}
