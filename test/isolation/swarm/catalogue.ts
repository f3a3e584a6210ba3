import { atStrength, type Named } from './named.js';
import { floods } from './named-flood.js';
import { attacksOnMemory } from './named-memory.js';
import { attacksOnTime } from './named-work.js';

/** All attacks that have a name. `strength`: 1 for all of it; `seconds`: how long each goes on once it is set up. */
export function catalogue(strength: number, seconds: number): Named[] {
  const scale = atStrength(strength);
  return [...attacksOnTime(scale, seconds), ...floods(scale, seconds), ...attacksOnMemory(scale, seconds)];
}
