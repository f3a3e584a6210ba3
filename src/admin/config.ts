import { UsageError } from '../errors.js';
import type { AdminContext } from './context.js';
import { json, Refusal, type Route } from './route.js';

/** The configuration of the running broker. */
export function configRoutes({ controls }: AdminContext): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/config/reload',
      query: { dryRun: { kind: 'choice', words: ['0', '1'], otherwise: '0' } },
      answer: async ({ query }) => {
        const dryRun = query.dryRun === '1';
        try {
          return json({ dryRun, ...(await controls.reload({ dryRun })) });
        } catch (error) {
          if (error instanceof UsageError) throw new Refusal(422, 'bad-config', error.message);
          throw error;
        }
      },
    },
  ];
}
