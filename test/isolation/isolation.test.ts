import { everyAttack } from './every-attack.js';

// Each QoS once; every way is in isolation-every-way.test.ts.
everyAttack([
  [3, 0],
  [4, 1],
  [3, 2],
]);
