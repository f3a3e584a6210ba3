import type { ClusterConfig } from '../config/config.js';
import type { AuthOutcome, CredentialGuard } from '../credentials/guard.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { shardOf } from '../shard.js';
import { proxyFiles } from './haproxy-config.js';
import { MailRoutes } from './mail-routes.js';

/**
 * Accepts nobody whose login another shard serves: to HAProxy and to clients this broker is not available for them then.
 * HAProxy is told of who belongs here by the name that was presented, and elsewhere by the login.
 */
export function guardShard(
  guard: CredentialGuard,
  { shards, shard, proxy }: Pick<ClusterConfig, 'shards' | 'shard' | 'proxy'>,
  log: Log,
): CredentialGuard {
  if (shards === 1) return guard;
  const mails = new MailRoutes(proxyFiles(proxy.folder), log);
  return {
    ...guard,
    get outage() {
      return guard.outage;
    },
    async authenticate(presented): Promise<AuthOutcome> {
      const outcome = await guard.authenticate(presented);
      if (outcome.kind !== 'accepted') return outcome;
      const { login } = outcome;
      const belongsTo = shardOf(login, shards);
      if (belongsTo === shard) return outcome;
      if (presented.login !== undefined && shardOf(presented.login, shards) === shard)
        void mails.learn(presented.login, login);
      const message = `${login} belongs to shard ${belongsTo} of ${shards}, and this is shard ${shard}`;
      return { kind: 'unavailable', reason: 'other-shard', error: new Fault('E_OTHER_SHARD', message) };
    },
  };
}
