// Long: reads by each version and QoS; isolation.test.ts by each QoS once.
import { everyAttack, everyWay } from './every-attack.js';

everyAttack(everyWay);
