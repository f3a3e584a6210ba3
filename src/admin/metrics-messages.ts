import type { Family } from '../observe/exposition.js';
import { byIndex, byWords, counter, gauge, histogram } from '../observe/families.js';
import type { AdminContext } from './context.js';
import type { Steps } from './in-slices.js';

const ACCOUNTS_PER_STEP = 128;
const qos = ['0', '1', '2'];
const packetTypes = [
  ...['reserved', 'connect', 'connack', 'publish', 'puback', 'pubrec', 'pubrel', 'pubcomp'],
  ...['subscribe', 'suback', 'unsubscribe', 'unsuback', 'pingreq', 'pingresp', 'disconnect', 'auth'],
];

/** Messages, and what is kept of them. */
export function* messageFamilies({ parts }: AdminContext): Steps<Family[]> {
  const { counters, store, accounts } = parts;
  let queuedBytes = 0;
  let retainedBytes = 0;
  let count = 0;
  for (const account of accounts.values()) {
    queuedBytes += account.queuedBytes;
    retainedBytes += account.balances.retained.bytes;
    if (++count % ACCOUNTS_PER_STEP === 0) yield;
  }
  const [ackOfQos1, ackOfQos2] = counters.publishAckSeconds;
  const [deliveryOfQos1, deliveryOfQos2] = counters.deliverySeconds;
  return [
    counter(
      'packets_received_total',
      'Packets from clients, by type.',
      byIndex('type', packetTypes, counters.packetsReceived),
    ),
    counter(
      'publishes_received_total',
      'PUBLISH packets from clients; one that is sent again counts again.',
      byIndex('qos', qos, counters.publishesReceived),
    ),
    counter(
      'publishes_sent_total',
      'PUBLISH packets to clients; one that is sent again counts again.',
      byIndex('qos', qos, counters.publishesSent),
    ),
    counter('publish_received_bytes_total', 'Payloads of PUBLISH packets from clients.', counters.publishReceivedBytes),
    counter('publish_sent_bytes_total', 'Payloads of PUBLISH packets to clients.', counters.publishSentBytes),
    counter('network_received_bytes_total', 'Bytes from clients, inside of TLS.', counters.networkReceivedBytes),
    counter('network_sent_bytes_total', 'Bytes to clients, inside of TLS.', counters.networkSentBytes),
    counter(
      'messages_dropped_total',
      'Messages that one of their receivers did not get, by reason.',
      byWords(['reason'], counters.messagesDropped),
    ),
    counter('publishes_unrouted_total', 'Messages to which nobody had subscribed.', counters.publishesUnrouted),
    counter('wills_published_total', 'Wills of clients that ended without a word.', counters.willsPublished),
    gauge('queued_bytes', 'Topics and payloads of queued messages, and those in flight of kept sessions.', queuedBytes),
    gauge('retained_messages', 'Retained messages.', store.retained.size),
    gauge('retained_bytes', 'What they take in memory.', retainedBytes),
    histogram('publish_ack_duration_seconds', 'From PUBLISH to its PUBACK or PUBREC; 0 when it waits for nothing.', [
      [{ qos: '1' }, ackOfQos1],
      [{ qos: '2' }, ackOfQos2],
    ]),
    histogram(
      'delivery_duration_seconds',
      'From the sending of a message to a client to its PUBACK or PUBCOMP, in steps of a millisecond.',
      [
        [{ qos: '1' }, deliveryOfQos1],
        [{ qos: '2' }, deliveryOfQos2],
      ],
    ),
    histogram('store_commit_duration_seconds', 'How long a group of operations took to be on disk.', [
      [{}, counters.storeCommitSeconds],
    ]),
    histogram('store_commit_operations', 'Operations in a group.', [[{}, counters.storeCommitOperations]]),
    counter(
      'store_faults_total',
      'Times that the store could not be written, by code.',
      byWords(['code'], counters.storeFaults),
    ),
  ];
}
