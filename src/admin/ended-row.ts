import type { EndedConnection } from '../observe/history.js';
import { endInWords, ownEndInWords } from '../observe/in-words.js';
import { dateOf } from './dates.js';

/** A connection that has ended, as lists and events have it. */
export function endedRow(ended: EndedConnection) {
  const { n, address, login, clientId: client, protocol, openedAt, endedAt, reason, detail } = ended;
  const { publishesReceived, publishesSent, bytesReceived, bytesSent } = ended;
  return {
    ...{
      n,
      state: 'closed' as const,
      address,
      login,
      client,
      protocol,
      since: dateOf(openedAt),
      until: dateOf(endedAt),
    },
    ...{ reason, detail, inWords: endInWords(reason, detail) },
    ...{ publishesReceived, publishesSent, bytesReceived, bytesSent },
  };
}

/** The same, for whose connection it was. */
export function ownEndedRow(ended: EndedConnection) {
  return { ...endedRow(ended), inWords: ownEndInWords(ended.reason, ended.detail) };
}
