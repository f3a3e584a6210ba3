import { systemClock } from '../clock.js';
import { Fault } from '../errors.js';
import type { Log } from '../observe/log.js';
import { checkRows, type RowProblem } from '../store/check-rows.js';
import { describeDamage, findDamage, tablesIn } from '../store/damage.js';
import type { Database, OpenDatabase } from '../store/database.js';
import { openDatabase } from '../store/open-database.js';
import { copyAndRepair } from '../store/repair.js';
import type { CommandIo } from './command.js';
import { progressOn } from './progress.js';

const LISTED_PROBLEMS = 100;

/** What a look at a whole store has found. */
interface Findings {
  /** Why it cannot be opened; null when it can. */
  readonly closed: Fault | null;
  readonly rows: ReadonlyMap<string, number>;
  readonly damage: readonly string[];
  readonly problems: readonly RowProblem[];
}

/** Reads everything, and says what cannot be read. */
export async function checkStore(path: string, log: Log, io: CommandIo): Promise<number> {
  const findings = await look(path, log, io);
  if (!tell(findings, path, io)) return 0;
  if (needsRepair(findings)) io.stdout.write(`what can be saved: iotlab-broker storage repair --path ${path}\n`);
  return 1;
}

/** The same of what `open` opens. */
export async function checkDatabase(open: OpenDatabase, name: string, io: CommandIo): Promise<number> {
  const progress = progressOn(io.stderr, 'rows read');
  const db = await open('existing');
  const found = await rowsOf(db, progress.at).finally(() => db.close());
  progress.end();
  return tell({ closed: null, ...found, damage: [] }, name, io) ? 1 : 0;
}

/** Returns whether something is wrong. */
function tell(findings: Findings, name: string, io: CommandIo): boolean {
  for (const [kind, count] of findings.rows) io.stdout.write(`${kind}: ${count}\n`);
  const lines = linesOf(findings);
  for (const line of lines.slice(0, LISTED_PROBLEMS)) io.stdout.write(`${line}\n`);
  if (lines.length > LISTED_PROBLEMS) io.stdout.write(`… and ${lines.length - LISTED_PROBLEMS} more\n`);
  const { closed, damage, problems } = findings;
  if (lines.length === 0) {
    io.stdout.write(`${name}: fine\n`);
    return false;
  }
  const found = [
    ...(damage.length > 0 ? [`${damage.length} damaged blocks`] : []),
    `${problems.length} rows with a problem`,
  ];
  io.stdout.write(`${name}: ${closed === null ? found.join(', ') : 'cannot be opened'}\n`);
  return true;
}

/** Makes a copy, and a store of what can be read. */
export async function repairStore(path: string, log: Log, io: CommandIo): Promise<number> {
  const before = await look(path, log, io);
  if (!needsRepair(before)) {
    io.stdout.write(`${path}: nothing to repair\n`);
    return 0;
  }
  const { copy } = await copyAndRepair(path, systemClock);
  io.stdout.write(`${path}: copied to ${copy}\n`);
  for (const line of linesOf(before).slice(0, LISTED_PROBLEMS)) io.stdout.write(`${line}\n`);
  const db = await openDatabase({ path, log, clock: systemClock, mode: 'existing' });
  let left: ReadonlyMap<string, number>;
  try {
    await takeOut(db, (await rowsOf(db)).problems);
    // Tables are written anew, and with them what finds the rows in them.
    await db.compactRange?.('', '~');
    left = (await rowsOf(db)).rows;
  } finally {
    await db.close();
  }
  const total = [...left.values()].reduce((sum, count) => sum + count, 0);
  io.stdout.write(`${path}: repaired, ${total} rows\n`);
  return 0;
}

async function look(path: string, log: Log, io: CommandIo): Promise<Findings> {
  const progress = progressOn(io.stderr, 'rows read');
  const tables = await tablesIn(path).catch(() => new Map<string, string>());
  let closed: Fault | null = null;
  let found: Awaited<ReturnType<typeof rowsOf>> = { rows: new Map(), problems: [] };
  try {
    const db = await openDatabase({ path, log, clock: systemClock, mode: 'existing' });
    try {
      found = await rowsOf(db, progress.at);
    } finally {
      await db.close();
    }
  } catch (error) {
    if (!(error instanceof Fault) || !/^E_STORE_(DAMAGED|INCOMPLETE)$/.test(error.code)) throw error;
    closed = error;
  }
  progress.end();
  return { closed, ...found, damage: describeDamage(await findDamage(path, tables)) };
}

async function rowsOf(db: Database, progress: (rows: number) => void = () => {}) {
  const problems: RowProblem[] = [];
  const rows = await checkRows(db, { problem: (found) => problems.push(found), progress });
  return { rows, problems };
}

async function takeOut(db: Database, problems: readonly RowProblem[]): Promise<void> {
  const batch = db.batch();
  for (const { key, unreadable } of problems) if (unreadable) batch.del(key);
  await batch.write({ sync: true });
}

const needsRepair = ({ closed, damage, problems }: Findings): boolean =>
  closed !== null || damage.length > 0 || problems.some(({ unreadable }) => unreadable);

/** Never a payload. Keys hold what clients chose: nothing of it may reach a terminal as more than text. */
function linesOf({ closed, damage, problems }: Findings): string[] {
  const lines = [
    ...(closed === null ? [] : [closed.message]),
    ...damage,
    ...problems.map(({ key, text }) => `${key}: ${text}`),
  ];
  return lines.map((line) =>
    line.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (character) => `\\u{${character.codePointAt(0)!.toString(16)}}`),
  );
}
