// Long: what is rare takes many rounds. CRASH_KILLS says how many.
import { killedUnderLoad } from '../support/killed-under-load.js';

killedUnderLoad(Number(process.env.CRASH_KILLS ?? 20));
