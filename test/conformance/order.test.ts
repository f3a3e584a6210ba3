import { test } from 'node:test';
import { publishAll, receiveAll } from '../support/flows.js';
import { freshId, RawClient } from '../support/raw-client.js';
import { useTestBroker } from '../support/test-broker.js';
import { assertSame, comeInOrder, freshTopic } from './in-order.js';

comeInOrder(2_000, 1_200);

const broker = useTestBroker();

test('[MQTT-4.6.0-6] what waited comes before what is published while it comes', async () => {
  const topic = freshTopic();
  const clientId = freshId();
  const first = await RawClient.connect(broker, { clientId, clean: false });
  await first.subscribe([topic, 1]);
  await first.disconnect();
  await using publisher = await RawClient.connect(broker);
  const batch = (from: number, to: number) =>
    Array.from({ length: to - from }, (_, index) => ({ topic, payload: `${from + index}`, qos: 1 }));
  await publishAll(publisher, batch(0, 500));
  const second = RawClient.connect(broker, { clientId, clean: false });
  const [client] = await Promise.all([second, publishAll(publisher, batch(500, 900))]);
  await using subscriber = client;
  assertSame(await receiveAll(subscriber, 900), batch(0, 900));
});
