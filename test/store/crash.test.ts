import { killedUnderLoad } from '../support/killed-under-load.js';

killedUnderLoad(3);
killedUnderLoad(3, true);
