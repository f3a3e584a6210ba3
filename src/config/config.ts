import type { Infer } from './node.js';
import type { configSchema } from './schema.js';

/*
 * The whole configuration, after defaults are filled in and relative paths resolved. Durations are milliseconds. What
 * each key means, its default and what it accepts stand in schema.ts, and from there in `iotlab-broker config reference`.
 */
type Schema = Infer<typeof configSchema>;

export interface Config extends Schema {}

export interface ListenerConfig extends ListenerSchema {}
type ListenerSchema = Schema['listener'];

export interface CredentialsConfig extends CredentialsSchema {}
type CredentialsSchema = Schema['credentials'];

export interface LdapConfig extends LdapSchema {}
type LdapSchema = Schema['credentials']['ldap'];

export interface ApiConfig extends ApiSchema {}
type ApiSchema = Schema['credentials']['api'];

export interface GroupConfig extends GroupSchema {}
type GroupSchema = Schema['groups'][number];

export interface AclRuleConfig extends AclRuleSchema {}
type AclRuleSchema = Schema['acl'][number];

export interface UserLimitsConfig extends UserLimitsSchema {}
type UserLimitsSchema = Schema['userLimits'][number];

export interface StorageConfig extends StorageSchema {}
type StorageSchema = Schema['storage'];

export interface ClusterConfig extends ClusterSchema {}
type ClusterSchema = Schema['cluster'];

export interface LogConfig extends LogSchema {}
type LogSchema = Schema['log'];

export interface AdminConfig extends AdminSchema {}
type AdminSchema = Schema['admin'];

export interface WebConfig extends WebSchema {}
type WebSchema = Schema['web'];

export interface LimitsConfig extends LimitsSchema {}
type LimitsSchema = Schema['limits'];
