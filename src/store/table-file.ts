/**
 * As much of LevelDB's table files (.ldb) as it takes to find damaged blocks: the library reads without looking at the
 * checksums, and then fails without saying where, or does not fail and hands out what is wrong.
 *
 * A table is a row of blocks, each followed by a byte that says how it is compressed and a checksum of both. The last 48
 * bytes say where the index is, a block with the last key and the place of every block of rows.
 */
export interface TableBlock {
  readonly kind: 'rows' | 'index' | 'filter';
  readonly offset: number;
  /** Without the five bytes behind it. */
  readonly bytes: number;
  /** Keys of its rows are greater than `after` and not greater than `upTo`; null where nothing says. */
  readonly after: string | null;
  readonly upTo: string | null;
}

interface Place {
  readonly offset: number;
  readonly bytes: number;
}

const FOOTER_BYTES = 48;
const MAGIC = Buffer.from('57fb808b247547db', 'hex');
const SNAPPY = 1;

/** The blocks whose checksum is wrong; of a table that cannot be read at all, one that is all of it. */
export function damagedBlocks(table: Buffer): TableBlock[] {
  const whole: TableBlock = { kind: 'index', offset: 0, bytes: table.length, after: null, upTo: null };
  const footer = table.subarray(-FOOTER_BYTES);
  if (table.length < FOOTER_BYTES || !footer.subarray(-MAGIC.length).equals(MAGIC)) return [whole];
  const damaged: TableBlock[] = [];
  try {
    const places = new Varints(footer);
    const meta = places.place();
    const index = places.place();
    if (!isSound(table, index)) return [whole];
    let after: string | null = null;
    for (const [key, value] of entriesOf(contentsOf(table, index))) {
      // What follows the key itself in a table, its sequence number and kind.
      const upTo = key.subarray(0, -8).toString();
      const place = new Varints(value).place();
      if (!isSound(table, place)) damaged.push({ kind: 'rows', ...place, after, upTo });
      after = upTo;
    }
    for (const place of [meta, ...filtersOf(table, meta)]) {
      if (!isSound(table, place)) damaged.push({ kind: 'filter', ...place, after: null, upTo: null });
    }
  } catch (error) {
    // Reading behind the end: places that are not places. The checksums were right, so a disk did not do this.
    if (error instanceof RangeError) return [whole];
    throw error;
  }
  return damaged;
}

/** Makes the library see that the block is damaged: its kind of compression becomes one that there is not. */
export function spoil(table: Buffer, { offset, bytes, kind }: TableBlock): void {
  if (kind === 'rows') table[offset + bytes] = 0xff;
}

function filtersOf(table: Buffer, meta: Place): Place[] {
  if (!isSound(table, meta)) return [];
  return entriesOf(contentsOf(table, meta)).map(([, value]) => new Varints(value).place());
}

function isSound(table: Buffer, { offset, bytes }: Place): boolean {
  const masked = (table.readUInt32LE(offset + bytes + 1) - 0xa282ead8) >>> 0;
  const expected = ((masked >>> 17) | (masked << 15)) >>> 0;
  return crc32c(table.subarray(offset, offset + bytes + 1)) === expected;
}

function contentsOf(table: Buffer, { offset, bytes }: Place): Buffer {
  const stored = table.subarray(offset, offset + bytes);
  return table[offset + bytes] === SNAPPY ? unsnappy(stored) : stored;
}

/** The rows of a block: each key says how much of it is the beginning of the one before. */
function entriesOf(block: Buffer): [key: Buffer, value: Buffer][] {
  const restarts = block.readUInt32LE(block.length - 4);
  const rows = new Varints(block.subarray(0, block.length - 4 * (restarts + 1)));
  const entries: [Buffer, Buffer][] = [];
  let key: Buffer = Buffer.alloc(0);
  while (!rows.ended) {
    const shared = rows.next();
    const unshared = rows.next();
    const bytes = rows.next();
    key = Buffer.concat([key.subarray(0, shared), rows.take(unshared)]);
    entries.push([key, rows.take(bytes)]);
  }
  return entries;
}

class Varints {
  readonly #from: Buffer;
  #at = 0;

  constructor(from: Buffer) {
    this.#from = from;
  }

  get ended(): boolean {
    return this.#at >= this.#from.length;
  }

  next(): number {
    for (let value = 0, scale = 1; ; scale *= 128) {
      const byte = this.#from.readUInt8(this.#at++);
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) return value;
    }
  }

  take(bytes: number): Buffer {
    this.#at += bytes;
    if (this.#at > this.#from.length) throw new RangeError('behind the end');
    return this.#from.subarray(this.#at - bytes, this.#at);
  }

  place(): Place {
    return { offset: this.next(), bytes: this.next() };
  }
}

/** Undoes the compression of Snappy: literals, and copies of what is there already. */
function unsnappy(compressed: Buffer): Buffer {
  const from = new Varints(compressed);
  const plain = Buffer.alloc(from.next());
  const number = (bytes: number) => from.take(bytes).readUIntLE(0, bytes);
  let length = 0;
  while (!from.ended) {
    const tag = number(1);
    const upper = tag >>> 2;
    if ((tag & 3) === 0) {
      const bytes = (upper < 60 ? upper : number(upper - 59)) + 1;
      length += from.take(bytes).copy(plain, length);
      continue;
    }
    const short = (tag & 3) === 1;
    const bytes = short ? (upper & 7) + 4 : upper + 1;
    const back = short ? ((upper >>> 3) << 8) | number(1) : number((tag & 3) === 2 ? 2 : 4);
    // A byte at a time: a copy may reach into what it is just making.
    for (let i = 0; i < bytes; i++, length++) plain[length] = plain[length - back]!;
  }
  return plain;
}

/** CRC-32C (Castagnoli), a byte at a time. */
const CRC_TABLE = Int32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? 0x82f63b78 : 0);
  return crc;
});

function crc32c(bytes: Buffer): number {
  let crc = -1;
  for (let i = 0; i < bytes.length; i++) crc = CRC_TABLE[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}
