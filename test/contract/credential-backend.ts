import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inspect } from 'node:util';
import type { CredentialBackend, Verdict } from '../../src/credentials/backend.js';
import { Fault } from '../../src/errors.js';

/** Every printable ASCII character, the space included. */
const printable = String.fromCharCode(...Array.from({ length: 95 }, (_, index) => 32 + index));

/** The users that `setup` has to provide. Tests that change an account have one of their own. */
export const contractUsers: ReadonlyMap<string, string> = new Map([
  ['alice', 'secret one!'],
  ['bob1', '!@#$%^&*_=+-/'],
  ['carol', 'before'],
  ['dave', "dave's password"],
  ['erin', "erin's password"],
  ['printable', printable],
  ['unicode', 'pässwörd – пароль – 密码 – 🔑'],
]);

export interface BackendUnderTest {
  readonly backend: CredentialBackend;
  setPassword(login: string, password: string): Promise<void>;
  remove(login: string): Promise<void>;
  /** Where accounts can be disabled without being removed. */
  disable?(login: string): Promise<void>;
  /** The backend calls `onRevoked` by itself; false where it must be asked with `revalidate`. */
  readonly tellsRevocations: boolean;
  /** Called once, after `backend.close()`. */
  close(): Promise<void>;
}

export interface ContractOptions {
  readonly name: string;
  /** Called once; the whole suite uses what it returns. Throws away nothing: the suite calls `close`. */
  setup(users: ReadonlyMap<string, string>): Promise<BackendUnderTest>;
}

/** How long one question may take, and how long a revocation may take to be told. */
const deadlineMs = 10_000;

/** What every credential backend promises, asked of the real thing. */
export function credentialBackendContract({ name, setup }: ContractOptions): void {
  describe(`credential backend contract: ${name}`, () => {
    let under: BackendUnderTest;
    const revoked: string[] = [];
    let wake: () => void = () => {};

    before(async () => {
      under = await setup(contractUsers);
      under.backend.onRevoked((login) => {
        revoked.push(login);
        wake();
      });
    });
    after(async () => {
      await under?.backend.close();
      await under?.close();
    });

    const verify = (login: string, password: string): Promise<Verdict> =>
      under.backend.verify(login, password, AbortSignal.timeout(deadlineMs));
    const revalidate = (login: string, proof: unknown): Promise<boolean> =>
      under.backend.revalidate(login, proof, AbortSignal.timeout(deadlineMs));

    async function accepted(login: string, password: string): Promise<unknown> {
      const verdict = await verify(login, password);
      assert.ok(verdict.accepted, `${login} should be accepted, was refused`);
      assert.equal(verdict.login, login);
      return verdict.proof;
    }

    async function refused(login: string, password: string): Promise<string> {
      const verdict = await verify(login, password);
      assert.ok(!verdict.accepted, `${JSON.stringify(login.slice(0, 40))} should be refused, was accepted`);
      return verdict.reason;
    }

    /** Waits until the backend has told that `login` is no longer entitled; at once where it doesn't tell. */
    async function toldRevoked(login: string): Promise<void> {
      if (!under.tellsRevocations) return;
      await new Promise<void>((resolve, reject) => {
        const timer = setTimeout(() => reject(new Error(`nobody told that ${login} was revoked`)), deadlineMs);
        wake = () => {
          if (!revoked.includes(login)) return;
          clearTimeout(timer);
          resolve();
        };
        wake();
      });
    }

    test('accepts each user with the right password and nothing else', async () => {
      for (const [login, password] of contractUsers) {
        await accepted(login, password);
        await refused(login, `${password}x`);
        await refused(login, password.slice(0, -1));
      }
      assert.equal(await refused('alice', 'secret two!'), 'wrong-password');
      await refused('alice', contractUsers.get('bob1')!);
    });

    test('takes passwords literally: case, spaces around, and other characters count', async () => {
      for (const password of ['Secret one!', ' secret one!', 'secret one! ', 'secret  one!', 'secret one!\0', '*']) {
        await refused('alice', password);
      }
    });

    test('refuses an empty password', async () => {
      assert.equal(await refused('alice', ''), 'no-password');
      await refused('nobody', '');
    });

    test('refuses unknown users and logins that try to be something else', async () => {
      const hostile = [
        'nobody',
        '',
        '*',
        'al*',
        '*)(uid=*',
        'alice)(|(uid=*',
        'alice)(objectClass=*',
        '\\2a',
        ',ou=x',
        'alice,ou=People',
        'alice+cn=alice',
        'alice\0',
        'alice\n',
        'alice:',
        '#alice',
        'alice/../bob1',
        '__proto__',
        'constructor',
        'toString',
        '\ud800',
        'a'.repeat(10_240),
      ];
      for (const login of hostile) await refused(login, 'secret one!');
    });

    test('gives one canonical login, however it is spelled', async () => {
      for (const login of ['ALICE', 'Alice', ' alice', 'alice ', 'ａlice']) {
        const verdict = await verify(login, 'secret one!');
        if (verdict.accepted) assert.equal(verdict.login, 'alice');
      }
    });

    test('refuses a 1 MB password in time', async () => {
      await refused('alice', 'x'.repeat(1_048_576));
      await accepted('alice', 'secret one!');
    });

    test('does not mix up answers to questions asked at the same time', async () => {
      const questions = Array.from({ length: 24 }, (_, index) => {
        const [login, password] = [...contractUsers][index % contractUsers.size]!;
        const right = index % 3 !== 0;
        return { login, right, verdict: verify(login, right ? password : `wrong ${index}`) };
      });
      for (const { login, right, verdict } of questions) {
        const answer = await verdict;
        assert.equal(answer.accepted, right, login);
        if (answer.accepted) assert.equal(answer.login, login);
      }
    });

    test('shows neither password nor hash in what it hands out', async () => {
      for (const password of ['secret one!', 'wrong secret!']) {
        const shown = inspect(await verify('alice', password), { depth: 20, showHidden: true });
        assert.ok(!shown.includes(password), shown);
        assert.doesNotMatch(shown, /\$(6|7|scrypt)\$|\{S?SHA/);
      }
    });

    test('rejects with a fault when the question is called off', async () => {
      await assert.rejects(under.backend.verify('alice', 'secret one!', AbortSignal.abort()), Fault);
      const proof = await accepted('alice', 'secret one!');
      await assert.rejects(under.backend.revalidate('alice', proof, AbortSignal.abort()), Fault);
      await accepted('alice', 'secret one!');
    });

    test('finds an account entitled as long as nothing changes', async () => {
      const proof = await accepted('alice', 'secret one!');
      assert.equal(await revalidate('alice', proof), true);
      assert.equal(await revalidate('alice', proof), true);
    });

    test('a new password ends what the old one began', async () => {
      const old = await accepted('carol', 'before');
      await under.setPassword('carol', 'after');
      await toldRevoked('carol');
      assert.equal(await revalidate('carol', old), false);
      await refused('carol', 'before');
      assert.equal(await revalidate('carol', await accepted('carol', 'after')), true);
    });

    test('removing an account ends it', async () => {
      const proof = await accepted('dave', "dave's password");
      await under.remove('dave');
      await toldRevoked('dave');
      assert.equal(await revalidate('dave', proof), false);
      await refused('dave', "dave's password");
    });

    test('disabling an account ends it', async (t) => {
      if (under.disable === undefined) return t.diagnostic('this backend has no disabled accounts');
      const proof = await accepted('erin', "erin's password");
      await under.disable('erin');
      await toldRevoked('erin');
      assert.equal(await revalidate('erin', proof), false);
      assert.equal(await refused('erin', "erin's password"), 'disabled');
    });

    test('told of nobody whose account did not change', () => {
      assert.deepEqual(
        revoked.filter((login) => !['carol', 'dave', 'erin'].includes(login)),
        [],
      );
    });

    test('gives no verdict once closed, and may be closed twice', async () => {
      await under.backend.close();
      await under.backend.close();
      await assert.rejects(verify('alice', 'secret one!'), Fault);
    });
  });
}
