import { SUBSCRIBE, UNSUBSCRIBE } from '../mqtt/packets.js';

const SHOWN = 20;
const CHARACTERS = 200;
/** The variable byte integer of the properties of MQTT 5. */
const MOST_LENGTH_BYTES = 4;

/**
 * The filters that a SUBSCRIBE or UNSUBSCRIBE asks for, the first of them, for people to read; null for other packets. The
 * packet is not checked yet: what is malformed ends the list.
 */
export function askedFilters(
  type: number,
  { chunk, start, end }: { readonly chunk: Buffer; readonly start: number; readonly end: number },
  version5: boolean,
): string[] | null {
  if (type !== SUBSCRIBE && type !== UNSUBSCRIBE) return null;
  const found: string[] = [];
  let at = start + 2;
  if (version5) at = behindProperties(chunk, at, end);
  let more = 0;
  while (at + 2 <= end) {
    const textStart = at + 2;
    const textEnd = textStart + chunk.readUInt16BE(at);
    if (textEnd > end) break;
    if (found.length < SHOWN) found.push(cut(chunk.toString('utf8', textStart, textEnd)));
    else more++;
    // The options, with the QoS.
    at = type === SUBSCRIBE ? textEnd + 1 : textEnd;
  }
  if (more > 0) found.push(`… and ${more} more`);
  return found;
}

function behindProperties(chunk: Buffer, from: number, end: number): number {
  let length = 0;
  for (let i = 0; i < MOST_LENGTH_BYTES && from + i < end; i++) {
    const byte = chunk[from + i]!;
    length += (byte & 0x7f) * 128 ** i;
    if (byte < 0x80) return from + i + 1 + length;
  }
  return end;
}

const cut = (text: string): string => (text.length > CHARACTERS ? `${text.slice(0, CHARACTERS)}…` : text);
