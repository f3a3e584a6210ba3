import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { packageFolder } from '../../src/config/package-folder.js';
import { Reason } from '../../src/mqtt/reason-codes.js';
import { refusalReasons } from '../../src/observe/in-words.js';

const { texts } = (await import(
  pathToFileURL(join(packageFolder(), 'src', 'web', 'pages', 'texts.js')).href
)) as unknown as { texts: { reasons: Record<string, string>; me: { reasons: Record<string, string> } } };

test('every reason code that refuses is told in words, with what helps', () => {
  for (const [name, code] of Object.entries(Reason)) {
    if (code >= 0x80) assert.match(texts.reasons[code] ?? '', /^\D{15,}: .{5,}$/, name);
  }
});

test('every reason for which a log-in fails is told in words', () => {
  // Of a connection that has not said whose it is there is no user to tell.
  const nobodys = ['no-login', 'connections', 'connectionsPerAddress', 'peer-closed', 'socket-error'];
  const told = refusalReasons.filter(
    (reason) => !/-timeout$|^protocol-error$/.test(reason) && !nobodys.includes(reason),
  );
  for (const reason of told) assert.match(texts.me.reasons[reason] ?? '', / /, reason);
});
