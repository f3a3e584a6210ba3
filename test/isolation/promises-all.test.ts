// Long, runs alone: twenty attacks, each for a time of its own, and measured.
import { attacksHeld, representatives } from './swarm/attacks-held.js';

// Every attack that has a name; those that stand for the others are in promises.test.ts.
attacksHeld((name) => !representatives.includes(name));
