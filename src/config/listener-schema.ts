import { isIP } from 'node:net';
import { atStart, flag, integer, path, section, text, texts } from './node.js';

const proxy = section(
  'Where a TCP proxy, such as HAProxy, hands clients over with version 2 of the PROXY protocol: on a Unix socket, in plain, or over TLS with a certificate of its own.',
  {
    exclusive: flag(
      false,
      'Let clients in by the proxy alone; host, port and certificate above are then those of the proxy.',
    ),
    socket: path('', 'Unix socket to listen on; empty: none.', { empty: true }),
    socketMode: text('600', 'Its mode, in octal, such as "660".', {
      accepts: 'an octal mode',
      problem: (it) => (/^0?[0-7]{3}$/.test(it) ? null : ''),
    }),
    socketOwner: text('', 'Its owner, as in "haproxy", "haproxy:haproxy" or ":haproxy"; empty: the broker\'s user.', {
      empty: true,
      accepts: "user, user:group, :group or ''",
      problem: (it) => (/^[\w.-]*(:[\w.-]+)?$/.test(it) ? null : ''),
    }),
    host: text('::', 'Address to listen on for a proxy on another machine.'),
    port: integer(0, 'TCP port for it; 0: none. It is TLS, and asks for the certificate of the proxy.', {
      max: 65_535,
    }),
    ca: path('', "CA (PEM) that has signed the proxies' certificates; no other one should have a certificate of it.", {
      empty: true,
    }),
    names: texts([], "Names that a proxy's certificate must have one of; empty: any certificate of that CA will do.", {
      accepts: 'a host name',
    }),
    addresses: texts([], 'Where proxies may connect from; empty: from anywhere.', {
      accepts: 'an address or a network such as 10.1.2.0/24',
      problem: networkProblem,
    }),
  },
);

export const listener = section('Where clients connect. TLS only: there is no key for a plaintext port.', {
  host: atStart(text('::', 'Address to listen on. "::" is every IPv6 and IPv4 address of the machine.')),
  port: atStart(integer(8883, 'TCP port; 0 takes any free one.', { max: 65_535 })),
  cert: path(
    'certs/server.pem',
    'Server certificate (PEM), with its intermediate certificates behind it. A second one, for a key of the other kind (ECDSA, RSA), may follow: each client is shown the ECDSA one if it can check it.',
  ),
  key: path(
    'certs/server.key',
    'Private key of the certificate (PEM); or both keys, where there are two certificates.',
  ),
  ca: path(
    'certs/iot-lab-ca.pem',
    'What clients trust (PEM, may be a bundle). Shown to people, never asked of clients.',
  ),
  proxy: atStart(proxy),
});

function networkProblem(value: string): string | null {
  const [address = '', bits, ...more] = value.split('/');
  const version = isIP(address);
  if (version === 0 || more.length > 0) return '';
  if (bits === undefined) return null;
  return /^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128) ? null : '';
}
