// Long: 1 500 messages for each of two users; reload.test.ts has a third of them.
import { reloadsLoseNothing } from './support/reloading.js';

reloadsLoseNothing(1_500);
