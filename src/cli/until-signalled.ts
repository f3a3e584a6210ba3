import { flushLog, type Log } from '../observe/log.js';

interface Service {
  stop(): Promise<void>;
  reload(): Promise<void>;
}

interface Options {
  readonly log: Log;
  readonly stopTimeoutMs: number;
}

const exitCodes = new Map<NodeJS.Signals, number>([
  ['SIGINT', 130],
  ['SIGTERM', 143],
]);

/**
 * One Ctrl-C under `npm start` arrives twice: from the terminal, and again from npm, which passes it on. Within this
 * time the second is taken for the first.
 */
const sameSignalMs = 300;

/** `stop` has its own deadline; this much later it is considered stuck. */
const graceMs = 1_000;

/**
 * Runs a started service until SIGTERM or SIGINT, and resolves with the exit code: 0 when it stopped in time, 1 when it
 * did not. A second signal ends the process at once. SIGHUP reloads. An error that nobody caught is logged, and ends
 * the process with exit code 1: what state it left behind is unknown, and what was acknowledged is on disk.
 */
export function untilSignalled(service: Service, { log, stopTimeoutMs }: Options): Promise<number> {
  return new Promise((resolve) => {
    let stoppedAt: number | null = null;

    const finish = (code: number): void => {
      for (const [event, listener] of listeners) process.off(event, listener);
      flushLog(log).then(() => resolve(code));
    };

    const stop = (signal: NodeJS.Signals): void => {
      if (stoppedAt !== null) {
        if (performance.now() - stoppedAt < sameSignalMs) return;
        log.warn({ signal }, 'second signal: leaving at once');
        process.exit(exitCodes.get(signal));
      }
      stoppedAt = performance.now();
      log.info({ signal }, 'stopping');
      // A timer that keeps the process alive: with nothing else left, Node.js would leave with a code of its own.
      const deadline = setTimeout(() => {
        log.error({ stopTimeoutMs }, 'could not stop in time (limits.stopTimeoutMs): leaving');
        finish(1);
      }, stopTimeoutMs + graceMs);
      service.stop().then(
        () => {
          clearTimeout(deadline);
          log.info('stopped');
          finish(0);
        },
        (err: unknown) => {
          clearTimeout(deadline);
          log.error({ err }, 'stopping failed');
          finish(1);
        },
      );
    };

    const reload = (): void => {
      log.info('SIGHUP: reloading certificates');
      service.reload().catch((err: unknown) => log.error({ err }, 'reloading failed'));
    };

    const die = (error: unknown): void => {
      log.fatal({ err: error, stack: error instanceof Error ? error.stack : undefined }, 'an error that nobody caught');
      process.exit(1);
    };

    const listeners: [event: string, listener: (argument: unknown) => void][] = [
      ...[...exitCodes.keys()].map((signal): [string, () => void] => [signal, () => stop(signal)]),
      ['SIGHUP', reload],
      ['uncaughtException', die],
      ['unhandledRejection', die],
    ];
    for (const [event, listener] of listeners) process.on(event, listener);
  });
}
