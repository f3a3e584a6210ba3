// Long: two thousand random packets and more of each kind; wire5.fuzz.test.ts tries a quarter of them.
import { wire5Fuzz } from './wire5-fuzz.js';

wire5Fuzz(1);
