import { wire5Fuzz } from './wire5-fuzz.js';

wire5Fuzz(0.25);
