import type { HealthState } from '../admin/health.js';
import type { ReceivedRequest } from '../admin/router.js';

/** What the supervisor asks of a shard's process, over the channel that it was started with. */
export type Question =
  | { readonly id: number; readonly kind: 'admin'; readonly received: ReceivedRequest }
  | { readonly id: number; readonly kind: 'health' }
  | { readonly id: number; readonly kind: 'metrics'; readonly accept: string }
  /** So much of a stream's text is on its way to whoever reads it. */
  | { readonly id: number; readonly kind: 'taken'; readonly length: number }
  /** Nobody reads the stream any more. */
  | { readonly id: number; readonly kind: 'gone' };

/** An answer without what cannot be sent: of a stream only its type, its text comes in parts. */
export type SentAnswer =
  | { readonly kind: 'json'; readonly status: number; readonly value: unknown }
  | { readonly kind: 'text'; readonly type: string; readonly text: string }
  | { readonly kind: 'stream'; readonly type: string };

/** What a shard's process says. */
export type Word =
  /** Another machine's broker has the shard; this one waits for its end. */
  | { readonly kind: 'standby' }
  /** Clients can connect. */
  | { readonly kind: 'serving' }
  | { readonly kind: 'answer'; readonly id: number; readonly answer: SentAnswer }
  | { readonly kind: 'health'; readonly id: number; readonly health: HealthState }
  | { readonly kind: 'part'; readonly id: number; readonly text: string }
  | { readonly kind: 'end'; readonly id: number };
