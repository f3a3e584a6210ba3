// Long, own process: ten thousand random packets, and five storms; it weighs the memory of all that is in it.
import { useTestBroker } from '../support/test-broker.js';
import { givesMemoryBack, Others, options, takesRandomStrings } from './spoilt-input.js';

const broker = useTestBroker({ ...options, relay: true });
const others = new Others(broker);

takesRandomStrings(broker, others, 10_000);
givesMemoryBack(broker, others, 4, () => broker);
