import type { Config } from '../config/config.js';
import { inconsistencies } from '../config/consistency.js';
import { UsageError } from '../errors.js';

export const shardsOption = { type: 'string', value: 'N', help: 'instead of cluster.shards' } as const;

/** As the configuration says, or the command line. */
export function withShards(config: Config, shards: string | undefined): Config {
  const local = config.cluster.local > 0 ? config.cluster.local : config.cluster.shards;
  const count = shards === undefined ? local : shardCount(shards);
  const changed = { ...config, cluster: { ...config.cluster, shards: count } };
  const [wrong] = inconsistencies(changed);
  if (wrong !== undefined) throw new UsageError(`${wrong.key}: ${wrong.text}`, { code: 'E_CONFIG' });
  return changed;
}

export function shardCount(text: string): number {
  const count = Number(text);
  if (/^\d{1,3}$/.test(text) && count >= 1 && count <= 256) return count;
  throw new UsageError(`--shards ${text} is not a number from 1 to 256`);
}

export function shardNumber(text: string, shards: number): number {
  const shard = Number(text);
  if (/^\d{1,3}$/.test(text) && shard < shards) return shard;
  throw new UsageError(`--shard ${text} is not one of the shards, 0 to ${shards - 1}`);
}
