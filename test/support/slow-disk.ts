// Loaded by a broker before anything else (`--import`): its disk takes 4 ms longer for whatever it syncs.
import { createRequire } from 'node:module';
import { setTimeout as delay } from 'node:timers/promises';

interface WriteOptions {
  readonly sync?: boolean;
}
interface Batch {
  _write(options: WriteOptions): Promise<void>;
}

const { ChainedBatch } = createRequire(import.meta.url)('classic-level/chained-batch') as {
  ChainedBatch: { prototype: Batch };
};
const { _write: write } = ChainedBatch.prototype;

ChainedBatch.prototype._write = async function (this: Batch, options) {
  if (options.sync === true) await delay(4);
  await write.call(this, options);
};
