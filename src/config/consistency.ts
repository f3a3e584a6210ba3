import { groupKey } from '../group-name.js';
import { reachInto, unnamedReach, userTrees } from '../mqtt/user-trees.js';
import type { Config } from './config.js';
import { nearest } from './nearest.js';

export interface Inconsistency {
  readonly key: string;
  readonly text: string;
}

/** What no key shows alone. Only what is certain not to work is listed. */
export function inconsistencies(config: Config): Inconsistency[] {
  const parts = [ofProxy, ofCluster, ofCredentials, ofGroups, ofRules, ofLimits];
  return parts.flatMap((part) => part(config));
}

function ofProxy({ listener: { proxy } }: Config): Inconsistency[] {
  const found: Inconsistency[] = [];
  if (proxy.exclusive && proxy.socket === '' && proxy.port === 0) {
    const text = 'leaves no way in: set listener.proxy.socket or listener.proxy.port';
    found.push({ key: 'listener.proxy.exclusive', text });
  }
  if (proxy.port !== 0 && proxy.ca === '') {
    const text = 'is needed with listener.proxy.port: who has a certificate of it may say who a client is';
    found.push({ key: 'listener.proxy.ca', text });
  }
  return found;
}

function ofCluster({ listener, cluster, acl, storage, web }: Config): Inconsistency[] {
  const { shard, machines, proxy, local } = cluster;
  const shards = local > 0 ? local : cluster.shards;
  const found: Inconsistency[] = [];
  const add = (key: string, text: string) => found.push({ key, text });
  if (shard >= shards) add('cluster.shard', `is one of cluster.shards (${shards}), counted from 0`);
  if (machines.length > 0 && listener.proxy.port === 0) {
    add('cluster.machines', 'needs listener.proxy.port: that is how HAProxy reaches the brokers');
  }
  if (machines.length > 0 && proxy.certificate === '') {
    add('cluster.proxy.certificate', 'is needed with cluster.machines: the brokers ask HAProxy for it');
  }
  if (shards > 1 && web.port !== 0) {
    add('web.port', 'is for one broker: behind it, the users of the other shards would not be found');
  }
  if (machines.length > 1 && storage.url === '') {
    add('storage.url', 'is needed with several cluster.machines: each of them has to find what the others stored');
  }
  for (const [index, { topic }] of acl.entries()) {
    // What somebody publishes for others stays in the shard of who published it.
    if (shards > 1 && !topic.includes('%u')) {
      add(`acl[${index}].topic`, `has no %u: with cluster.shards, users of different shards have no topic in common`);
    }
  }
  return found;
}

function ofCredentials({ credentials }: Config): Inconsistency[] {
  const { backend, api, ldap } = credentials;
  const found: Inconsistency[] = [];
  const add = (key: string, text: string) => found.push({ key, text });
  if (backend === 'api' && api.url === '') add('credentials.api.url', 'is needed with "backend: api"');
  if (backend === 'ldap') {
    if (ldap.urls.length === 0) add('credentials.ldap.urls', 'names no server, and "backend: ldap" needs one');
    if (ldap.startTls && ldap.urls.some((url) => url.startsWith('ldaps:'))) {
      add('credentials.ldap.startTls', 'is for ldap:// only: an ldaps:// connection is TLS from the first byte');
    }
    if (ldap.serviceDn !== '' && ldap.servicePasswordFile === '' && ldap.servicePasswordEnv === '') {
      add('credentials.ldap.serviceDn', 'needs servicePasswordFile or servicePasswordEnv');
    }
    if (ldap.groupsFilter !== '' && ldap.groupsBase === '') {
      add('credentials.ldap.groupsFilter', 'needs groupsBase, below which the groups are searched');
    }
    if (ldap.groupsBase !== '' && ldap.groupsFilter === '' && ldap.groupsAttribute === '') {
      add(
        'credentials.ldap.groupsBase',
        'needs groupsFilter or groupsAttribute: how is it known who belongs to a group?',
      );
    }
  }
  return found;
}

function ofGroups(config: Config): Inconsistency[] {
  const found: Inconsistency[] = [];
  const places = new Map<string, number>();
  for (const [index, { name, users }] of config.groups.entries()) {
    const key = groupKey(name);
    const earlier = places.get(key);
    if (earlier !== undefined) {
      found.push({ key: `groups[${index}].name`, text: `${JSON.stringify(name)} is groups[${earlier}] already` });
    } else places.set(key, index);
    found.push(...strangersAmong(config, `groups[${index}].users`, users));
  }
  return found;
}

function ofRules(config: Config): Inconsistency[] {
  const found: Inconsistency[] = [];
  const trees = userTrees(config.acl);
  for (const [index, own] of config.acl.entries()) {
    const { topic, users = [], groups = [] } = own;
    const rule = `acl[${index}]`;
    found.push(...strangersAmong(config, `${rule}.users`, users), ...unknownAmong(config, `${rule}.groups`, groups));
    for (const tree of trees) {
      if (reachInto(tree, own) !== 'unnamed') continue;
      found.push({ key: `${rule}.topic`, text: `${JSON.stringify(topic)} ${unnamedReach(tree, own)}` });
    }
  }
  return found;
}

function ofLimits(config: Config): Inconsistency[] {
  const { limits, userLimits } = config;
  const found: Inconsistency[] = [];
  if (limits.queuedBytes > limits.queuedBytesPerUser) {
    const text = `is more than limits.queuedBytesPerUser (${limits.queuedBytesPerUser})`;
    found.push({ key: 'limits.queuedBytes', text });
  }
  for (const [index, { users = [], groups = [] }] of userLimits.entries()) {
    const row = `userLimits[${index}]`;
    found.push(...strangersAmong(config, `${row}.users`, users), ...unknownAmong(config, `${row}.groups`, groups));
  }
  return found;
}

/** Logins that can never log in: a rule for them is for nobody. */
function strangersAmong({ credentials }: Config, key: string, users: readonly string[]): Inconsistency[] {
  const { loginPattern } = credentials;
  const pattern = new RegExp(`^(?:${loginPattern})$`, 'u');
  return users
    .filter((login) => !pattern.test(login))
    .map((login) => ({
      key,
      text: `${JSON.stringify(login)} does not match credentials.loginPattern (${loginPattern}), and so is nobody`,
    }));
}

/** Groups that nothing can have a member of: neither `groups` has them, nor a backend that may know of more. */
function unknownAmong({ credentials, groups }: Config, key: string, named: readonly string[]): Inconsistency[] {
  const { backend, ldap } = credentials;
  if (backend === 'file' || (backend === 'ldap' && (ldap.groupsAttribute !== '' || ldap.groupsFilter !== '')))
    return [];
  const known = new Map(groups.map(({ name }) => [groupKey(name), name]));
  return named
    .filter((name) => !known.has(groupKey(name)))
    .map((name) => {
      const near = nearest(name, known.values());
      const hint = near === undefined ? 'groups does not have it' : `did you mean ${near}?`;
      return { key, text: `${JSON.stringify(name)} is no group: ${hint}` };
    });
}
