import type { Config } from '../config/config.js';
import { layoutOf } from '../store/shard-stores.js';
import { proxyFiles } from './haproxy-config.js';

/** A file that each shard has one of. */
const ofShard = (file: string, shards: number, shard: number) => (file === '' ? '' : `${file}.${shard}-of-${shards}`);

/**
 * The configuration of one shard's broker, from the one that all of them share: its own store, its own way in, and no
 * door for operators, who ask the process that supervises it.
 */
export function shardConfig(config: Config, shards: number, shard: number): Config {
  const { listener, cluster, storage, admin } = config;
  const { proxy } = listener;
  const local = cluster.machines.length === 0;
  const way = local ? { socket: proxyFiles(cluster.proxy.folder).shard(shard), port: 0 } : { port: proxy.port + shard };
  return {
    ...config,
    listener: { ...listener, proxy: { ...proxy, exclusive: true, ...way } },
    cluster: { ...cluster, shards, shard },
    storage: storage.path === 'memory' ? storage : { ...storage, path: layoutOf(storage.path, shards).folders[shard]! },
    admin: { ...admin, socket: '', port: 0, auditFile: '', bansFile: ofShard(admin.bansFile, shards, shard) },
  };
}
