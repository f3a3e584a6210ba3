import { keep } from './corpus.js';
import { generate } from './generate.js';
import type { Ground } from './ground.js';
import { inShort, type Program } from './program.js';
import { line } from './report.js';
import { shrink } from './shrink.js';
import { control, type Trial, trial } from './trial.js';
import { type Verdict, verdict } from './verdict.js';

export interface SwarmOptions {
  readonly minutes: number;
  readonly seed: string;
  /** How long each failing program is made smaller; 0 keeps it as it is. */
  readonly shrinkMinutes: number;
  say(text: string): void;
}

export interface SwarmOutcome {
  readonly programs: number;
  /** The machine was not fit to judge these. */
  readonly unclear: number;
  /** Files of the corpus. */
  readonly failures: readonly string[];
}

const controlSeconds = 2;
const shrinkRuns = 60;

/** Program after program, each against a broker of its own, until the time is over. */
export async function swarm(ground: Ground, options: SwarmOptions): Promise<SwarmOutcome> {
  const { minutes, seed, say } = options;
  const failures: string[] = [];
  let unclear = 0;
  let programs = 0;
  let spentOnShrinkingMs = 0;
  const startMs = performance.now();
  while (performance.now() - startMs - spentOnShrinkingMs < minutes * 60_000) {
    programs += 1;
    const program = generate(`${seed}:${programs}`);
    const first = await attempt(ground, program).catch((error: Error) => {
      say(`${program.name}  unclear  ${error.message}`);
      return null;
    });
    if (first === null) {
      unclear += 1;
      continue;
    }
    say(`${program.name}  ${line(first.result, first.judged)}  ${inShort(program)}`);
    const { outcome, remark } = first.judged;
    if (remark) say(`  ${remark}`);
    if (outcome === 'unclear') unclear += 1;
    if (outcome !== 'broken') continue;
    const shrinkStartMs = performance.now();
    const file = await failed(ground, program, first.judged, options);
    if (file !== null) failures.push(file);
    else unclear += 1;
    spentOnShrinkingMs += performance.now() - shrinkStartMs;
  }
  return { programs, unclear, failures };
}

async function attempt(ground: Ground, program: Program): Promise<{ result: Trial; judged: Verdict }> {
  const broker = await ground.broker();
  try {
    const result = await trial(broker, program, await control(broker, controlSeconds));
    return { result, judged: verdict(result) };
  } finally {
    await broker.stop('SIGKILL');
  }
}

/** What fails twice is made smaller and kept. Returns its file; null when it fails only once. */
async function failed(
  ground: Ground,
  program: Program,
  { findings }: Verdict,
  { shrinkMinutes, say }: SwarmOptions,
): Promise<string | null> {
  for (const { text } of findings) say(`  ${text}`);
  const kinds = new Set(findings.map(({ kind }) => kind));
  let harm = findings.map(({ text }) => text);
  const stillHarms = async (smaller: Program) => {
    const again = await attempt(ground, smaller).catch(() => null);
    if (again === null) return false;
    const { judged } = again;
    const same = judged.findings.filter(({ kind }) => kinds.has(kind));
    if (judged.outcome !== 'broken' || same.length === 0) return false;
    harm = same.map(({ text }) => text);
    return true;
  };
  if (!(await stillHarms(program))) {
    say('  … not so the second time: left alone');
    return null;
  }
  if (shrinkMinutes > 0) say(`  … and so the second time; making it smaller for up to ${shrinkMinutes} minutes`);
  const smallest = await shrink(program, stillHarms, { runs: shrinkRuns, ms: shrinkMinutes * 60_000 });
  const name = `${[...kinds][0]?.replace(' ', '-')}-${program.name.replaceAll(/[^a-z0-9]+/gi, '-')}`;
  const about = `From the seed ${program.name}: ${harm.join('; ')}.`.slice(0, 300);
  const file = await keep({ ...smallest, name, about });
  say(`  kept as ${file}: ${inShort(smallest)}`);
  return file;
}
