import { randomInt } from 'node:crypto';
import { parseArgs } from 'node:util';
import { catalogue } from './catalogue.js';
import { readProgram } from './corpus.js';
import { generate } from './generate.js';
import { Ground } from './ground.js';
import type { Program } from './program.js';
import { line, tableHead, tableRow } from './report.js';
import { swarm } from './swarm.js';
import { control, trial } from './trial.js';
import { verdict } from './verdict.js';

const help = `
Usage: npm run swarm -- [--minutes N] [--seed S] [--shrink-minutes N]
       npm run swarm -- --program NAME… [--seconds N] [--strength N] [--table]
       npm run swarm -- --replay FILE…
       npm run swarm -- --list

Attacks the built broker from outside as one user, and watches another: how long delivery, PUBACK and login take,
whether anything is lost or reordered, how much memory the broker takes, and whether it lives. Right before each attack
the same is watched without one.

  --minutes N         random programs, one after the other, for so long (1)
  --seed S            of the first of them; the same seed makes the same programs (another one each time)
  --shrink-minutes N  how long a program that fails is made smaller before it is kept in test/isolation/corpus (3)
  --program NAME      an attack that has a name; may be given several times; "all" is all of them, and SEED:3 the third
                      of the random programs that a seed makes
  --seconds N         how long it goes on once it is set up (10)
  --strength N        share of its connections and of what is set up, above 0 (1)
  --table             a Markdown table at the end
  --replay FILE       a program of the corpus; may be given several times
  --heap MB           gives the broker that much (--max-old-space-size)
  --list              the attacks that have a name

Exit codes: 0 everything held, 1 something did not, or nothing could be judged; 2 wrong usage.

Example: npm run swarm -- --minutes 60 --seed 42
`.trimStart();

const controlSeconds = 3;

interface Case {
  readonly program: Program;
  readonly modest: Program | null;
}

/** Resolves with the exit code. */
export async function main(args: readonly string[]): Promise<number> {
  try {
    return await run(readOptions(args));
  } catch (error) {
    if (!(error instanceof UsageFault)) throw error;
    console.error(`${error.message}\n\n${help}`);
    return 2;
  }
}

class UsageFault extends Error {}

function readOptions(args: readonly string[]) {
  try {
    const { values } = parseArgs({
      args: [...args],
      options: {
        minutes: { type: 'string', default: '1' },
        seed: { type: 'string', default: `${randomInt(1_000_000)}` },
        'shrink-minutes': { type: 'string', default: '3' },
        program: { type: 'string', multiple: true, default: [] },
        seconds: { type: 'string', default: '10' },
        strength: { type: 'string', default: '1' },
        table: { type: 'boolean', default: false },
        heap: { type: 'string' },
        replay: { type: 'string', multiple: true, default: [] },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    return values;
  } catch (error) {
    throw new UsageFault((error as Error).message);
  }
}

async function run(values: ReturnType<typeof readOptions>): Promise<number> {
  if (values.help) {
    console.log(help);
    return 0;
  }
  const numbers = (name: 'minutes' | 'shrink-minutes' | 'seconds' | 'strength' | 'heap', least: number): number => {
    const number = Number(values[name]);
    if (!(number >= least)) throw new UsageFault(`--${name} ${values[name]}: it must be a number from ${least} on.`);
    return number;
  };
  const named = catalogue(numbers('strength', 0.01), numbers('seconds', 1));
  if (values.list) {
    for (const { attack } of named) console.log(`${attack.name.padEnd(24)}${attack.about}`);
    return 0;
  }
  const cases: Case[] = [];
  for (const name of values.program) {
    if (/:\d+$/.test(name)) {
      cases.push({ program: generate(name), modest: null });
      continue;
    }
    const found = named.filter(({ attack }) => name === 'all' || attack.name === name);
    if (found.length === 0) throw new UsageFault(`--program ${name}: there is no attack of that name; see --list.`);
    cases.push(...found.map(({ attack, modest }) => ({ program: attack, modest })));
  }
  for (const file of values.replay) cases.push({ program: await readProgram(file), modest: null });
  const heapMb = values.heap === undefined ? undefined : numbers('heap', 64);
  await using ground = await Ground.make(heapMb);
  if (cases.length > 0) return await runCases(ground, cases, values.table);
  const { seed } = values;
  console.log(`swarm: seed ${seed}`);
  const [minutes, shrinkMinutes] = [numbers('minutes', 0.01), numbers('shrink-minutes', 0)];
  const outcome = await swarm(ground, { minutes, seed, shrinkMinutes, say: (text) => console.log(text) });
  return closing(`seed ${seed}`, outcome.programs, outcome.failures, outcome.unclear);
}

async function runCases(ground: Ground, cases: readonly Case[], table: boolean): Promise<number> {
  const rows: string[] = [];
  const failures: string[] = [];
  let unclear = 0;
  for (const { program, modest } of cases) {
    const broker = await ground.broker();
    try {
      const result = await trial(broker, program, await control(broker, controlSeconds, modest));
      const judged = verdict(result);
      console.log(`${program.name}: ${line(result, judged)}`);
      for (const { text } of judged.findings) console.log(`  ${text}`);
      if (judged.remark) console.log(`  ${judged.remark}`);
      rows.push(tableRow(result, judged));
      if (judged.outcome === 'broken') failures.push(program.name);
      if (judged.outcome === 'unclear') unclear += 1;
    } finally {
      await broker.stop('SIGKILL');
    }
  }
  if (table) console.log(`\n${tableHead}\n${rows.join('\n')}\n`);
  return closing('named programs', cases.length, failures, unclear);
}

function closing(what: string, programs: number, failures: readonly string[], unclear: number): number {
  const judged = programs - unclear;
  const doubt = unclear === 0 ? '' : `; ${unclear} could not be judged: the machine was too busy`;
  if (failures.length > 0) {
    console.log(`swarm: FAILED (${what}): ${failures.length} of ${programs} programs did harm${doubt}`);
    for (const failure of failures) console.log(`  ${failure}`);
    return 1;
  }
  console.log(
    `swarm: ${judged === 0 ? 'FAILED' : 'held'} (${what}): ${judged} of ${programs} programs did no harm${doubt}`,
  );
  return judged === 0 ? 1 : 0;
}
