import { printable } from '../observe/printable.js';

/** Wider ones are cut, but for those in the last column. */
const WIDEST = 60;

/** What somebody else chose, as one line of a table: no line feed or tab of it moves what comes behind. */
export function cell(text: string, widest = WIDEST): string {
  const line = printable(text).replaceAll('\n', '\\n').replaceAll('\t', '\\t');
  return line.length > widest ? `${line.slice(0, widest - 1)}…` : line;
}

/** Lines of columns that are as wide as they must be; numbers to the right. The last column is never padded. */
export function table(head: readonly string[], rows: readonly (readonly (string | number)[])[]): string {
  const cells = rows.map((row) =>
    row.map((value, i) => {
      if (typeof value === 'number') return String(value);
      return i < head.length - 1 ? cell(value) : cell(value, Number.POSITIVE_INFINITY);
    }),
  );
  const widths = head.map((name, i) => Math.max(name.length, ...cells.map((row) => row[i]!.length)));
  const isNumber = head.map((_, i) => rows.length > 0 && rows.every((row) => typeof row[i] === 'number'));
  const line = (row: readonly string[]) =>
    row
      .map((text, i) => {
        if (isNumber[i]) return text.padStart(widths[i]!);
        return i === row.length - 1 ? text : text.padEnd(widths[i]!);
      })
      .join('  ')
      .trimEnd();
  return [head, ...cells].map((row) => `${line(row)}\n`).join('');
}
