// Long: what is rare takes many rounds. CRASH_KILLS says how many.
import { killedUnderLoad } from '../support/killed-under-load.js';

const kills = Number(process.env.CRASH_KILLS ?? 20);
killedUnderLoad(kills);
killedUnderLoad(Math.ceil(kills / 2), true);
