import { isIPv6 } from 'node:net';

interface Parts {
  /** 0x20 for LOCAL, 0x21 (the default) for PROXY. */
  readonly command?: number;
  /** As the address has it, unless given. */
  readonly family?: number;
  readonly address?: string;
  readonly port?: number;
  /** What stands behind the addresses. */
  readonly extra?: Buffer;
}

/** A header of version 2 of the PROXY protocol, as a proxy sends it. */
export function proxyHeader({ command = 0x21, family, address, port = 0, extra = Buffer.alloc(0) }: Parts): Buffer {
  const addresses = address === undefined ? Buffer.alloc(0) : addressBlock(address, port);
  const fixed = Buffer.from('0d0a0d0a000d0a515549540a00000000', 'hex');
  fixed[12] = command;
  fixed[13] = family ?? (address === undefined ? 0x00 : isIPv6(address) ? 0x21 : 0x11);
  fixed.writeUInt16BE(addresses.length + extra.length, 14);
  return Buffer.concat([fixed, addresses, extra]);
}

/** The client's, and the proxy's own in zeros. */
function addressBlock(address: string, port: number): Buffer {
  const bytes = isIPv6(address) ? inet6(address) : Buffer.from(address.split('.').map(Number));
  const ports = Buffer.alloc(4);
  ports.writeUInt16BE(port);
  return Buffer.concat([bytes, Buffer.alloc(bytes.length), ports]);
}

function inet6(address: string): Buffer {
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1);
  const [head = '', tail = ''] = plain.split('::');
  const words = (text: string) => (text === '' ? [] : text.split(':').map((word) => Number.parseInt(word, 16)));
  const all = [...words(head), ...Array<number>(8 - words(head).length - words(tail).length).fill(0), ...words(tail)];
  return Buffer.from(all.flatMap((word) => [word >> 8, word & 255]));
}
