import { flushLog, type Log } from '../observe/log.js';

interface Service {
  start(): Promise<void>;
  stop(): Promise<void>;
  reload(): Promise<void>;
  /** Whether it waits, perhaps for long, before it can serve: then a signal is obeyed while it starts. */
  readonly waiting?: () => boolean;
}

interface Options {
  readonly log: Log;
  /** Asked when it stops. */
  readonly stopTimeoutMs: () => number;
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
 * Starts a service and runs it until SIGTERM or SIGINT. Resolves with the exit code: 0 when it stopped in time, 1 when
 * it did not; rejects when it could not start. A signal while it starts is obeyed once it has, or at once while it only
 * waits; a second signal ends the process at once. SIGHUP reloads. An error that nobody caught is logged, and ends the process with exit code 1: what
 * state it left behind is unknown, and what was acknowledged is on disk.
 */
export function untilSignalled(service: Service, { log, stopTimeoutMs }: Options): Promise<number> {
  return new Promise((resolve, reject) => {
    let stoppedAt: number | null = null;
    let started = false;

    const letGo = (): void => {
      for (const [event, listener] of listeners) process.off(event, listener);
    };

    const finish = (code: number): void => {
      flushLog(log).then(() => {
        letGo();
        // npm's copy of a Ctrl-C may come as late as this: it must not end a process that has stopped in order.
        for (const signal of exitCodes.keys()) process.on(signal, () => {});
        resolve(code);
      });
    };

    const stop = (signal: NodeJS.Signals): void => {
      if (stoppedAt !== null) {
        if (performance.now() - stoppedAt < sameSignalMs) return;
        log.warn({ signal }, 'second signal: leaving at once');
        process.exit(exitCodes.get(signal));
      }
      stoppedAt = performance.now();
      log.info({ signal }, 'stopping');
      if (started || service.waiting?.() === true) stopNow();
    };

    const stopNow = (): void => {
      // A timer that keeps the process alive: with nothing else left, Node.js would leave with a code of its own.
      const timeoutMs = stopTimeoutMs();
      const deadline = setTimeout(() => {
        log.error({ stopTimeoutMs: timeoutMs }, 'could not stop in time (limits.stopTimeoutMs): leaving');
        finish(1);
      }, timeoutMs + graceMs);
      service.stop().then(
        () => {
          clearTimeout(deadline);
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
      if (!started) return;
      log.info('SIGHUP: reloading certificates and configuration');
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
    service.start().then(
      () => {
        started = true;
        if (stoppedAt !== null) stopNow();
      },
      (error: unknown) => {
        // It was stopped while it waited, and did not start for that.
        if (stoppedAt !== null && service.waiting !== undefined) return;
        flushLog(log).then(() => {
          letGo();
          reject(error);
        });
      },
    );
  });
}
