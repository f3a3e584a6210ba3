import { mkdir } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { dirname } from 'node:path';
import { createLoginRule } from './login.js';
import { hashPassword, randomPassword } from './password-hash.js';
import { asUsageError, editUsersFile, readUsersFile } from './users-file.js';

/** Accounts that services run as; nobody would guess that they are meant as a person's login. */
const notPeople = new Set(['root', 'node', 'nobody', 'daemon']);

/**
 * For the first start: when there is no users file, or none of its lines is a user, adds one with a random password and
 * tells both; null when there is nothing to do. The login is the name of whoever started the process where the pattern
 * allows, else `alice`; null, too, when the pattern allows neither. Throws `UsageError` when the file can't be written.
 */
export async function ensureFirstUser(
  path: string,
  loginPattern = '^[a-z][a-z0-9]{3,19}$',
): Promise<{ readonly login: string; readonly password: string } | null> {
  const present = await readUsersFile(path).catch((error) => {
    throw asUsageError(path, error);
  });
  if (present !== null && present.users.size > 0) return null;
  const isLogin = createLoginRule(loginPattern);
  const login = [ownName(), 'alice'].find((name) => isLogin(name) && !notPeople.has(name));
  if (login === undefined) return null;
  const password = randomPassword();
  const hashText = await hashPassword(password);
  await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch((error) => {
    throw asUsageError(path, error);
  });
  let added = false;
  await editUsersFile(path, (file) => {
    // Another process may have been faster.
    if (file.users.size > 0) return null;
    added = true;
    return file.with(login, hashText);
  });
  return added ? { login, password } : null;
}

function ownName(): string {
  try {
    return userInfo().username;
  } catch {
    // A container may run as a number that no name belongs to.
    return '';
  }
}
