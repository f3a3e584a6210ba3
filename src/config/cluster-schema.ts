import { integer, optional, path, rows, section, text } from './node.js';

export const cluster = section('Several brokers behind HAProxy, each for its shard of the logins; docs/cluster.md.', {
  shards: integer(1, 'How many shards there are, by a hash of the login that HAProxy computes too.', {
    min: 1,
    max: 256,
  }),
  shard: integer(0, 'Which of them this broker serves, from 0 on.', { max: 255 }),
  local: integer(
    0,
    'Shards that `iotlab-broker serve` runs on this machine, with HAProxy before them; 0: it is one broker.',
    {
      max: 256,
    },
  ),
  proxy: section("HAProxy's configuration, as `iotlab-broker cluster config` writes it.", {
    threads: integer(0, 'Threads of HAProxy; 0: as many as processors are left over by the shards, and at least one.', {
      max: 64,
    }),
    certificate: path('', 'What HAProxy shows to brokers on other machines: certificate and key (PEM), in one file.', {
      empty: true,
    }),
    folder: path('data/cluster', 'Folder for its configuration, certificate, sockets and the list of mail addresses.'),
  }),
  machines: rows(
    'The machines that have a broker of every shard; none: all shards are on this machine, on Unix sockets.',
    section('One machine.', {
      host: text(
        'broker-a.example.org',
        'Its name, which its certificate has. listener.proxy.port is that of shard 0, …',
      ),
      address: optional(
        text('', 'Where it is, so that nobody has to ask for the address of that name.', { empty: true }),
      ),
    }),
    [],
  ),
});
