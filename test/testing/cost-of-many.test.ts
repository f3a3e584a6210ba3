// Long: what little is left of each shows only in many.
import { nothingIsLeftOf } from '../support/nothing-left.js';

nothingIsLeftOf(200, 5_000);
