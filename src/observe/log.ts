import { type Logger, pino } from 'pino';
import type { LogConfig } from '../config/config.js';

export type Log = Logger;

/** Makes the process's log. Every part gets it, or a child of it, as an argument. */
export function createLog(config: LogConfig): Log {
  return pino({ level: config.level });
}
