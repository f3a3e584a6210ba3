import { broker5Fuzz } from './broker5-fuzz.js';

broker5Fuzz(0.4);
