// Under which names and addresses do other machines reach this one? Only its own network can tell, so this looks there,
// once, at each `docker compose up`. The broker puts them into its certificate, the directory on the slips with passwords;
// what is printed here tells how students connect: docker compose logs names
import { renameSync, writeFileSync } from 'node:fs';
import { hostname, networkInterfaces } from 'node:os';

const file = '/names/names';
const { IOTLAB_ADDRESS = '', IOTLAB_NAMES = '', IOTLAB_MQTT_PORT = '', IOTLAB_SSH_PORT = '' } = process.env;
const { IOTLAB_WEB_PORT = '' } = process.env;
const address = (IOTLAB_ADDRESS || '127.0.0.1').replace(/^\[(.*)\]$/, '$1');

/** Of containers and virtual machines: nobody else reaches them. */
const inner = /^(lo|docker|br-|veth|virbr|vboxnet|vmnet|cni|flannel|podman|lxc)/;

/** The addresses of this machine that others can reach, in the families that are open. */
function addressesOf(families) {
  return Object.entries(networkInterfaces())
    .filter(([name]) => !inner.test(name))
    .flatMap(([, addresses]) => addresses)
    .filter(
      ({ family, internal, address: own }) => !internal && families.includes(family) && !/^(169\.254|fe80)/i.test(own),
    )
    .map(({ address: own }) => own);
}

/** What Docker Desktop calls its virtual machine is no name of the computer. */
const isVirtual = (name) => /^(docker-desktop|linuxkit.*|localhost.*|)$/.test(name);

const open = !/^(127\..*|::1|localhost)$/.test(address);

function found() {
  if (!open) return [];
  if (address !== '0.0.0.0' && address !== '::') return [address];
  const own = hostname().toLowerCase();
  if (isVirtual(own)) return [];
  return [...addressesOf(address === '::' ? ['IPv4', 'IPv6'] : ['IPv4']), own];
}

const names = [...new Set([...IOTLAB_NAMES.split(/[\s,]+/), ...found()])].filter((name) => name !== '');
writeFileSync(`${file}.new`, `${names.join(' ')}\n`);
renameSync(`${file}.new`, file);

const say = (text) => console.log(`names: ${text}`);
if (!open) {
  say(`open to this machine only (${address}). For others: IOTLAB_ADDRESS=0.0.0.0 docker compose up -d`);
} else if (names.length === 0) {
  say('open to other machines, but under which name and address they reach this one cannot be told from here, and the');
  say('certificate lacks them. For instance: IOTLAB_NAMES="teacher.local 192.0.2.7" docker compose up -d');
} else {
  const [first] = names;
  say(`students reach this machine as ${names.join(', ')}; all of them are in the certificate:`);
  say(
    `  mosquitto_sub --cafile iot-lab-ca.pem -h ${first} -p ${IOTLAB_MQTT_PORT || 8883} -u LOGIN -P PASSWORD -t 'iotlab/LOGIN/#'`,
  );
  say(`  ssh -p ${IOTLAB_SSH_PORT || 2222} LOGIN@${first}`);
  say(`  https://${first.includes(':') ? `[${first}]` : first}:${IOTLAB_WEB_PORT || 8443}/me`);
}
