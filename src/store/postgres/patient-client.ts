import pg from 'pg';

/** Asks when the question before has been answered. The library queues questions too, and announces the end of that. */
export class PatientClient extends pg.Client {
  #before: Promise<unknown> = Promise.resolve();

  /** With a promise for its answer, the only way that is used here. */
  override query = ((...question: Parameters<pg.Client['query']>) => {
    const ask = () => super.query(...question);
    const answer = this.#before.then(ask);
    // The next one is asked whatever became of this one.
    this.#before = answer.then(ignore, ignore);
    return answer;
  }) as unknown as pg.Client['query'];
}

function ignore(): void {}
