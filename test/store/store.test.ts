import { storeContract } from '../contract/store.js';
import { diskStore, memoryStore } from './open-store.js';

storeContract('disk', diskStore);
storeContract('memory', memoryStore);
