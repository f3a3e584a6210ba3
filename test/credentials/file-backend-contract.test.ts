import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/clock.js';
import { openFileBackend } from '../../src/credentials/file-backend.js';
import { editUsersFile } from '../../src/credentials/users-file.js';
import { credentialBackendContract } from '../contract/credential-backend.js';
import { captureLog } from '../support/captured-log.js';
import { cheapScrypt } from '../support/cheap-scrypt.js';

credentialBackendContract({
  name: 'file',
  async setup(users) {
    const folder = await mkdtemp(join(tmpdir(), 'iotlab-broker-test-'));
    const path = join(folder, 'users');
    const setPassword = async (login: string, password: string): Promise<void> => {
      const hash = cheapScrypt(password);
      await editUsersFile(path, (file) => file.with(login, hash));
    };
    for (const [login, password] of users) await setPassword(login, password);
    return {
      backend: await openFileBackend({ path, log: captureLog().log, clock: systemClock }),
      setPassword,
      remove: (login) => editUsersFile(path, (file) => file.without(login)),
      tellsRevocations: true,
      close: () => rm(folder, { recursive: true, force: true }),
    };
  },
});
