import { everyAttack } from './every-attack.js';

// Each version and QoS once, by a session of the one kind or the other; all of them by both in isolation-every-way.test.ts.
everyAttack({
  clean: [
    [3, 0],
    [4, 1],
    [3, 2],
  ],
  stored: [
    [4, 0],
    [3, 1],
    [4, 2],
  ],
});
