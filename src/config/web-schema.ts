import { whyNotAGroupName } from '../group-name.js';
import { atStart, durationMs, integer, section, text, texts } from './node.js';

export const web = section('For browsers, over HTTPS with the certificate of the listener.', {
  host: atStart(text('::', 'Address to listen on.')),
  port: atStart(
    integer(0, 'TCP port; 0 turns it off. Pages are at /me, /operator and /status, MQTT over WebSocket at /mqtt.', {
      max: 65_535,
    }),
  ),
  mqttPort: integer(
    0,
    'Port of MQTT over TLS that the pages show, when others reach it by another one; 0: the one of the listener.',
    {
      max: 65_535,
    },
  ),
  operators: texts([], 'Logins to whom /operator shows everything, and who may kick, ban and limit users there.', {
    accepts: 'a login',
  }),
  operatorGroups: texts([], 'Groups whose members may do so as well.', {
    accepts: 'a group',
    problem: whyNotAGroupName,
  }),
  loginMs: durationMs(43_200_000, 'After so long a browser has to log in again.', { min: 60_000 }),
  names: texts(
    [],
    'Names by which browsers may reach this port, besides those of the certificate, localhost and every address.',
    {
      accepts: 'a host name',
      problem: (it) => (/^[a-z\d]([a-z\d.-]*[a-z\d])?$/i.test(it) ? null : ''),
    },
  ),
  origins: texts([], 'Where pages with MQTT clients may be from, besides this port itself, as browsers write it.', {
    accepts: 'an origin such as https://dashboard.example.org',
    problem: (it) => (isOrigin(it) ? null : ''),
  }),
});

/** Pages out of files say `null`. */
function isOrigin(it: string): boolean {
  return it === 'null' || (URL.canParse(it) && /^https?:/.test(it) && new URL(it).origin === it);
}
