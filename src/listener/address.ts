/**
 * One spelling per peer: a dual-stack socket shows 192.0.2.1 as ::ffff:192.0.2.1, which would count and read as another
 * address, and a link-local address carries its zone (fe80::1%eth0).
 */
export function normalizeAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}

/**
 * What a connection counts for: an IPv4 address, or the /64 network of an IPv6 address, since whoever has one address of
 * it usually has all of them. Takes what `normalizeAddress` returns.
 */
export function networkOf(address: string): string {
  if (!address.includes(':')) return address;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return `${[...left, ...zeros, ...right].slice(0, 4).join(':')}::/64`;
}
