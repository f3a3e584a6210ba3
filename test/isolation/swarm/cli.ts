import { parseArgs } from 'node:util';
import { catalogue } from './catalogue.js';
import { Ground } from './ground.js';
import type { Named } from './named.js';
import { line, tableHead, tableRow } from './report.js';
import { trial } from './trial.js';
import { verdict } from './verdict.js';

export const help = `
Usage: npm run swarm -- [--minutes N] [--seed S]
       npm run swarm -- --program NAME… | --program all
`.trimStart();

export async function main(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      program: { type: 'string', multiple: true },
      strength: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '10' },
    },
  });
  const all = catalogue(Number(values.strength), Number(values.seconds));
  const named = all.filter(({ attack }) => values.program?.some((name) => name === 'all' || name === attack.name));
  return await runNamed(named);
}

async function runNamed(named: readonly Named[]): Promise<number> {
  await using ground = await Ground.make();
  const rows: string[] = [];
  for (const { attack, modest } of named) {
    const broker = await ground.broker();
    try {
      const result = await trial(broker, attack, { modest, controlSeconds: 3 });
      const judged = verdict(result);
      console.log(`${attack.name}: ${line(result, judged)}`);
      for (const { text } of judged.findings) console.log(`  ${text}`);
      if (judged.remark) console.log(`  ${judged.remark}`);
      console.log(JSON.stringify(result.attack.tally), JSON.stringify(result.modest?.tally));
      rows.push(tableRow(result, judged));
    } finally {
      await broker.stop('SIGKILL');
    }
  }
  console.log(`\n${tableHead}\n${rows.join('\n')}`);
  return 0;
}
process.exitCode = await main(process.argv.slice(2));
