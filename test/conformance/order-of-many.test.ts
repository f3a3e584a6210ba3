// Long: the same as order.test.ts, with as many messages as it takes to meet what is rare.
import { comeInOrder } from './in-order.js';

comeInOrder(20_000, 6_000);
