// Long: ten thousand requests, one as soon as the other; port.test.ts has a fifth of them.
import { refusesAll } from '../support/admin-port.js';

refusesAll(10_000);
