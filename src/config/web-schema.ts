import { atStart, integer, section, text, texts } from './node.js';

export const web = section('For browsers, over HTTPS with the certificate of the listener.', {
  host: atStart(text('::', 'Address to listen on.')),
  port: atStart(integer(0, 'TCP port; 0 turns it off. MQTT over WebSocket is at /mqtt.', { max: 65_535 })),
  origins: texts([], 'Where pages with MQTT clients may be from, besides this port itself, as browsers write it.', {
    accepts: 'an origin such as https://dashboard.example.org',
    problem: (it) => (isOrigin(it) ? null : ''),
  }),
});

/** Pages out of files say `null`. */
function isOrigin(it: string): boolean {
  return it === 'null' || (URL.canParse(it) && /^https?:/.test(it) && new URL(it).origin === it);
}
