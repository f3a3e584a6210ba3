import type { Qos } from './packets.js';

/**
 * How a subscription is delivered to: the QoS that it was granted, and two of the subscription options of MQTT 5, with the
 * bits that they have there. A bridge has them in MQTT 3.1 and 3.1.1 too.
 */
export type Grant = number;

/** What the subscriber itself publishes does not come back to it. */
export const NO_LOCAL = 1 << 2;
/** Live messages keep the retain flag that they were published with. */
export const RETAIN_AS_PUBLISHED = 1 << 3;

/** `options` is the options byte without its QoS, as the store keeps it; what is asked only once is left out. */
export function grantOf(qos: Qos, options: number): Grant {
  return qos | (options & (NO_LOCAL | RETAIN_AS_PUBLISHED));
}

export function grantedQos(grant: Grant): Qos {
  return (grant & 3) as Qos;
}

/**
 * Several filters of one session match, and it gets one copy: at the highest QoS [MQTT-3.3.5-1], and as published when one
 * of them wants that. No Local of one of them: what is the session's own is another matter.
 */
export function bothGranted(a: Grant, b: Grant): Grant {
  return Math.max(a & 3, b & 3) | ((a | b) & (NO_LOCAL | RETAIN_AS_PUBLISHED));
}
