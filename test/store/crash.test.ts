import { killedUnderLoad } from '../support/killed-under-load.js';

killedUnderLoad(2);
killedUnderLoad(2, true);
