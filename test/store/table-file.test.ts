import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { damagedBlocks } from '../../src/store/table-file.js';
import { settle, tablesOf } from '../support/damage.js';
import { openLevel } from '../support/open-store.js';
import { tempFolder } from '../support/temp-folder.js';

/** A table as LevelDB writes it, of rows that pack well or not at all. */
async function realTable(t: TestContext, makeValue: (n: number) => Buffer): Promise<Buffer> {
  const path = join(await tempFolder(t), 'store');
  const level = await openLevel(path);
  for (let n = 0; n < 500; n++) await level.put(`iotlab/é/${String(n).padStart(5, '0')}`, makeValue(n));
  await level.close();
  await settle(path);
  const [name] = await tablesOf(path);
  return await readFile(join(path, name!));
}

describe('table files', () => {
  for (const [kind, makeValue] of [
    ['packed', (n: number) => Buffer.from(`value ${n} `.repeat(20))],
    ['unpacked', () => randomBytes(150)],
  ] as const) {
    test(`${kind}: an intact one has no damage, and every changed byte is noticed`, async (t) => {
      const table = await realTable(t, makeValue);
      assert.deepEqual(damagedBlocks(table), []);
      // The last 48 bytes are two places, up to 40 bytes of which nobody reads what is not needed, and the magic number.
      for (let at = 0; at < table.length - 48; at += 31) {
        table[at]! ^= 0x10;
        assert.notEqual(damagedBlocks(table).length, 0, `byte ${at} of ${table.length}`);
        table[at]! ^= 0x10;
      }
      for (const length of [0, 20, 48, table.length - 1]) {
        assert.equal(damagedBlocks(table.subarray(0, length)).length, 1, `${length} bytes`);
      }
    });
  }

  test('says which rows a damaged block has', async (t) => {
    const table = await realTable(t, () => randomBytes(150));
    table[Math.floor(table.length / 2)]! ^= 1;
    const [block, ...more] = damagedBlocks(table);
    assert.deepEqual(more, []);
    assert.equal(block?.kind, 'rows');
    assert.match(block?.after ?? '', /^iotlab\/é\/00\d/);
    assert.match(block?.upTo ?? '', /^iotlab\/é\/00\d/);
    assert.ok(block!.after! < block!.upTo!);
    assert.ok(block!.bytes > 4_000 && block!.bytes < 5_000);
  });
});
