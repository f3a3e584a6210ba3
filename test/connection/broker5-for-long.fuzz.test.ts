// Long: hundreds of random packets of each kind; broker5.fuzz.test.ts sends two fifths of them.
import { broker5Fuzz } from './broker5-fuzz.js';

broker5Fuzz(1);
