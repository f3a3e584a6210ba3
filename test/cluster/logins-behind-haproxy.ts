import assert from 'node:assert/strict';
import { test } from 'node:test';
import { as, front, home, SHARDS } from '../support/haproxy-front.js';

/** A test: so many logins, of all shapes. */
export function loginsComeHome(count: number): void {
  test(`${count} logins come to the shard that the broker computes, in every version of MQTT`, async (t) => {
    const { askedBy, came } = await front(t);
    const logins = Array.from(
      { length: count },
      (_, number) => `${['user', 'x', 'Teacher', 'm2-'][number % 4]}${number}`,
    );
    const wrong: string[] = [];
    const queue = [...logins.entries()];
    const worker = async () => {
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        const [number, login] = next;
        const shard = await askedBy(as(login, { level: ([3, 4, 5] as const)[number % 3]!, clientId: `c${number}` }));
        if (shard !== home(login)) wrong.push(`${login}: ${shard}, not ${home(login)}`);
      }
    };
    await Promise.all(Array.from({ length: 8 }, worker));
    assert.deepEqual(wrong, []);
    const counts = Array.from({ length: SHARDS }, (_, shard) => came.filter((it) => it.shard === shard).length);
    for (const own of counts) assert.ok(own > count / 5 && own < (count * 3) / 10, `spread: ${counts}`);
  });
}
