import { storeContract } from '../contract/store.js';
import { diskStore, memoryStore } from '../support/open-store.js';

storeContract('disk', diskStore);
storeContract('memory', memoryStore);
