/**
 * One spelling per peer: a dual-stack socket shows 192.0.2.1 as ::ffff:192.0.2.1, which would count and read as another
 * address, and a link-local address carries its zone (fe80::1%eth0).
 */
export function normalizeAddress(address: string): string {
  const zone = address.indexOf('%');
  const bare = zone === -1 ? address : address.slice(0, zone);
  return bare.startsWith('::ffff:') && bare.includes('.') ? bare.slice(7) : bare;
}
