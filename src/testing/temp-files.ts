import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set<string>();

function removeAll(): void {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
}

/** A file for programs that want one, such as mosquitto's clients. Gone with `remove`, or with the process. */
export function writeTempFile(name: string, text: string): { readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'iotlab-broker-'));
  if (folders.size === 0) process.on('exit', removeAll);
  folders.add(folder);
  const path = join(folder, name);
  writeFileSync(path, text);
  return {
    path,
    remove() {
      rmSync(folder, { recursive: true, force: true });
      folders.delete(folder);
      if (folders.size === 0) process.off('exit', removeAll);
    },
  };
}
