import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { makeAuthority } from '../../src/listener/certificates.js';
import { eventually } from './deadline.js';
import { freePort } from './ports.js';
import type { Postgres } from './postgres.js';
import { ShardedProcess } from './sharded-process.js';
import type { Scope } from './sockets.js';

/**
 * Two machines on one: each has a broker of every shard and HAProxy, at a loopback address of its own, and all of them
 * the same database.
 */
export class Machines {
  readonly shards: number;
  readonly machines: readonly [a: ShardedProcess, b: ShardedProcess];

  private constructor(shards: number, machines: readonly [ShardedProcess, ShardedProcess]) {
    this.shards = shards;
    this.machines = machines;
  }

  /** Machine a has all shards at first, and b stands by. */
  static async start(
    scope: Scope,
    folder: string,
    { shards, users, url }: { shards: number; users: readonly string[]; url: string },
  ): Promise<Machines> {
    const authority = makeAuthority();
    const client = authority.issue({ purpose: 'proxy' });
    const front = join(folder, 'front.pem');
    await writeFile(front, client.cert + client.key, { mode: 0o600 });
    const proxyPort = await freePort();
    const addresses = ['127.0.0.1', '127.0.0.2'] as const;
    const machine = async (address: string, number: number) => {
      const its = join(folder, `machine-${number}`);
      await mkdir(its);
      const proxy = { host: address, port: proxyPort, ca: 'ca.pem' };
      const cluster = {
        machines: addresses.map((it) => ({ host: 'localhost', address: it })),
        proxy: { folder: 'run', threads: 1, certificate: front },
      };
      return ShardedProcess.prepare(
        scope,
        its,
        users,
        { listener: { host: address, proxy }, storage: { url }, cluster, limits: { queuedMessages: 10_000 } },
        authority,
      );
    };
    const [a, b] = [await machine(addresses[0], 0), await machine(addresses[1], 1)];
    const it = new Machines(shards, [a, b]);
    await a.start('--shards', `${shards}`);
    await b.start('--shards', `${shards}`);
    return it;
  }

  /** Which machine serves the shard now, and its process; waits until there is one. */
  async active(shard: number): Promise<{ machine: ShardedProcess; pid: number; other: ShardedProcess }> {
    const [a, b] = this.machines;
    for (;;) {
      for (const [machine, other] of [
        [a, b],
        [b, a],
      ] as const) {
        const found = (await shardsOf(machine))?.find((it) => it.shard === shard);
        if (found?.serving === true) return { machine, other, pid: found.pid! };
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  /**
   * Another process serves the shard than that one, whose end its supervisor may not have noticed yet: before that,
   * everything seems to be as it was.
   */
  async takenOver(shard: number, from: number): Promise<void> {
    await eventually(20_000, `another broker for shard ${shard}`, async () => {
      const states = await Promise.all(this.machines.map(shardsOf));
      return states.some((shards) => shards?.some((it) => it.shard === shard && it.serving && it.pid !== from));
    });
  }

  /** The second machine serves every shard. */
  async moveToSecond(): Promise<void> {
    for (let shard = 0; shard < this.shards; shard++) {
      const { machine, pid } = await this.active(shard);
      if (machine === this.machines[1]) continue;
      process.kill(pid, 'SIGTERM');
      await this.takenOver(shard, pid);
      await this.whole();
    }
  }

  /** Everything of the second machine is killed at once, and started again when the first one serves. */
  async loseSecond(): Promise<void> {
    const [first, machine] = this.machines;
    const { shards, proxy } = (await answerOf(machine))!;
    // Who starts the others again goes first.
    for (const pid of [machine.pid, ...shards.map(({ pid }) => pid), proxy])
      if (pid !== null) process.kill(pid, 'SIGKILL');
    await machine.end('SIGKILL');
    await eventually(20_000, 'the first machine serves', async () => {
      const all = await shardsOf(first);
      return all?.length === this.shards && all.every(({ serving }) => serving);
    });
    await machine.start('--shards', `${this.shards}`);
  }

  /** Every shard is served by one machine, and the other one stands by. */
  async whole(): Promise<void> {
    await eventually(20_000, 'two brokers for every shard', async () => {
      const [a, b] = await Promise.all(this.machines.map(shardsOf));
      return (
        a?.length === this.shards &&
        b?.length === this.shards &&
        a.every(({ serving, standby }, shard) => serving !== b[shard]!.serving && standby !== b[shard]!.standby)
      );
    });
  }
}

interface ShardState {
  readonly shard: number;
  readonly pid: number | null;
  readonly serving: boolean;
  readonly standby: boolean;
}

interface ShardsAnswer {
  readonly shards: readonly ShardState[];
  readonly proxy: number | null;
}

/** Null: the machine is down. */
async function answerOf(machine: ShardedProcess): Promise<ShardsAnswer | null> {
  const headers = { authorization: `Bearer ${await machine.token()}` };
  const answer = await fetch(`http://127.0.0.1:${machine.adminPort}/v1/shards`, { headers }).catch(() => null);
  return answer === null ? null : ((await answer.json()) as ShardsAnswer);
}

const shardsOf = async (machine: ShardedProcess) => (await answerOf(machine))?.shards ?? null;

/**
 * Has the database itself look at who writes: without the lock of the slot, or after another process has written it.
 * Returns what it has seen.
 */
export async function watchWriters(postgres: Postgres): Promise<(at?: Postgres) => Promise<Record<string, unknown>[]>> {
  await postgres.ask(`create table writers (slot smallint, who text, primary key (slot, who));
    create table last_writer (slot smallint primary key, who text);
    create table intruders (slot smallint, who text, why text);
    create function watch() returns trigger language plpgsql as $$
    declare s smallint; me text := current_setting('application_name'); before text;
    begin
      for s in select distinct slot from changed loop
        if not exists (select 1 from pg_locks where locktype = 'advisory' and granted
            and pid = pg_backend_pid() and objid = s) then
          insert into intruders values (s, me, 'no lock');
        end if;
        select who into before from last_writer where slot = s;
        if before is distinct from me then
          if exists (select 1 from writers where slot = s and who = me) then
            insert into intruders values (s, me, 'after ' || before);
          end if;
          insert into writers values (s, me) on conflict do nothing;
          insert into last_writer values (s, me) on conflict (slot) do update set who = me;
        end if;
      end loop;
      return null;
    end $$;
    create trigger put after insert on iotlab_rows referencing new table as changed execute function watch();
    create trigger gone after delete on iotlab_rows referencing old table as changed execute function watch();`);
  return (at = postgres) => at.ask('select * from intruders');
}
