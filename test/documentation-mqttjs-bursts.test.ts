// Long: five thousand messages each; documentation-mqttjs.test.ts has two thousand.
import { burst, ways } from './support/mqttjs.js';
import { useTestBroker } from './support/test-broker.js';

const broker = useTestBroker({ seams: { web: true } });

for (const [way, version] of ways) burst(broker, way, version, 5_000);
