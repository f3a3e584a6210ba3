import { isIPv6 } from 'node:net';

/** What a client's bytes come by: TLS that ends here, a proxy where it does, or a WebSocket over TLS that ends here. */
export type Transport = 'tls' | 'proxy' | 'websocket';

/**
 * One spelling per peer: a dual-stack socket shows 192.0.2.1 as ::ffff:192.0.2.1, which would count and read as another
 * address, and a link-local address carries its zone (fe80::1%eth0).
 */
export function normalizeAddress(address: string): string {
  const bare = address.split('%', 1)[0]!.toLowerCase();
  return /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(bare)?.[1] ?? bare;
}

/**
 * The party behind an address, as far as counting goes: an IPv4 address, or the /64 network of an IPv6 address, since
 * whoever has one address of it usually has all of them. Not an address at all: as it is.
 */
export function networkOf(address: string): string {
  const bare = normalizeAddress(address);
  if (!isIPv6(bare)) return bare;
  const [head, tail] = bare.split('::', 2) as [string, string | undefined];
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  // A dotted quad at the end stands for two groups.
  const rightGroups = right.length + (right.at(-1)?.includes('.') ? 1 : 0);
  const zeros = tail === undefined ? 0 : 8 - left.length - rightGroups;
  const groups = [...left, ...Array<string>(Math.max(0, zeros)).fill('0'), ...right];
  const network = groups.slice(0, 4).map((group) => Number.parseInt(group, 16).toString(16));
  return `${network.join(':')}::/64`;
}
