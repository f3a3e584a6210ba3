// Long: reads by each version and QoS; isolation.test.ts by each of them in one kind of session.
import { everyAttack, everyWay } from './every-attack.js';

everyAttack(everyWay);
