import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { packageFolder } from '../../src/config/package-folder.js';

/** The numbered statements of MQTT 5 (its appendix B) that say what a server must do, or how it meets what a client does. */
const statements = `
1.5.4: 1 2 3
1.5.5: 1
1.5.7: 1
2.1.3: 1
2.2.1: 2 3 4 5 6
2.2.2: 1 2
3.1.0: 1 2
3.1.2: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 22 23 24 25 26 27 28 29
3.1.3: 1 2 3 4 5 6 7 8 9 10 11 12
3.1.4: 1 2 3 4 5 6
3.2.0: 1 2
3.2.2: 1 2 3 6 7 8 9 15 16 19 20 22
3.3.1: 1 2 3 4 5 6 7 8 9 10 11 12 13
3.3.2: 1 2 3 4 5 6 7 8 9 11 12 13 14 15 16 17 18 19 20
3.3.4: 1 2 3 4 5 6 7 9 10
3.4.2: 1 2
3.5.2: 1 2
3.6.1: 1
3.6.2: 1
3.7.2: 1
3.8.1: 1
3.8.3: 1 2 3 4 5
3.8.4: 1 2 3 4 5 6 7 8
3.9.2: 1
3.9.3: 1 2
3.10.1: 1
3.10.3: 1 2
3.10.4: 1 2 3 4 5 6
3.11.2: 1
3.11.3: 1 2
3.12.4: 1
3.14.0: 1
3.14.1: 1
3.14.2: 1 2 3
3.14.4: 1 2 3
3.15.1: 1
3.15.2: 1
4.1.0: 1 2
4.3.1: 1
4.3.2: 1 2 3 4 5
4.3.3: 1 2 3 4 5 6 7 8 9 10 11 12 13
4.4.0: 1 2
4.5.0: 1
4.6.0: 5 6
4.7.0: 1
4.7.1: 1 2
4.7.2: 1
4.7.3: 1 2 3 4
4.8.2: 1 2 3 4 5 6
4.9.0: 1 2 3
4.12.0: 1 4 6
4.13.1: 1
4.13.2: 1
`;

/*
 * Of the others, most are a client's. 3.2.2-10 to -14 are about what a server does not support, and this one supports all
 * of it. No packet of this broker but PUBLISH has User Properties (3.4.2-3, 3.5.2-3, 3.6.2-3, 3.7.2-3, 3.9.2-2, 3.11.2-2,
 * 3.14.2-4), PUBREL and PUBCOMP have no Reason String (3.6.2-2, 3.7.2-2), and there is no AUTH (3.15.2-2, 3.15.2-3,
 * 4.12.0-2, 4.12.0-5, 4.12.1). 4.2.0-1 is about transports; 6.0.0 about WebSocket, see test/web/.
 */

test('every statement of MQTT 5 that concerns a server has a test with its number', () => {
  const folder = join(packageFolder(), 'test', 'conformance');
  const files = readdirSync(folder).filter((file) => /^mqtt5.*\.test\.ts$/.test(file) && !file.includes('statements'));
  const texts = files.map((file) => readFileSync(join(folder, file), 'utf8')).join('\n');
  const named = new Set(texts.match(/\[MQTT-[\d.]+-\d+\]/g));
  const missing: string[] = [];
  for (const line of statements.trim().split('\n')) {
    const [chapter, numbers] = line.split(': ') as [string, string];
    for (const number of numbers.split(' ')) {
      if (!named.has(`[MQTT-${chapter}-${number}]`)) missing.push(`${chapter}-${number}`);
    }
  }
  assert.deepEqual(missing, []);
});
