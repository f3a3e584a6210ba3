// A process of its own (started with `fork`): many devices that connect at a given pace and stay. Sends how many got
// which CONNACK code, and how long it took until the last; ends when its parent lets go of it.
import type { Address } from './exact-clients.js';
import { mqttLogin } from './mqtt-login.js';

export interface Storm {
  readonly address: Address;
  readonly devices: readonly { readonly username: string; readonly password: string }[];
  readonly perSecond: number;
}

export interface StormOutcome {
  readonly tally: readonly (readonly [code: number | null, count: number])[];
  readonly tookMs: number;
}

async function run({ address, devices, perSecond }: Storm): Promise<StormOutcome> {
  const begin = performance.now();
  const codes: Promise<number | null>[] = [];
  for (const [index, { username, password }] of devices.entries()) {
    const earlyMs = begin + (index * 1_000) / perSecond - performance.now();
    await new Promise((resolve) => setTimeout(resolve, Math.max(0, earlyMs)));
    codes.push(
      mqttLogin(address, { username, password, clientId: `device-${index}` }, 30_000).then(({ code }) => code),
    );
  }
  const tally = new Map<number | null, number>();
  for (const code of await Promise.all(codes)) tally.set(code, (tally.get(code) ?? 0) + 1);
  return { tally: [...tally], tookMs: performance.now() - begin };
}

process.once('message', (storm) => {
  run(storm as Storm).then(
    (outcome) => process.send?.(outcome),
    (error) => process.send?.({ error: String(error) }),
  );
});
process.once('disconnect', () => process.exit());
