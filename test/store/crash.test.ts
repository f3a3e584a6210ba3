import { killedUnderLoad } from '../support/killed-under-load.js';

killedUnderLoad(3);
