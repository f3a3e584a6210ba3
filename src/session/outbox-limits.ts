/** A socket that has not taken this much gets no further messages until it has; QoS 0 messages are dropped. */
export const OUTBOX_LIMIT_BYTES = 1024 * 1024;
/** A socket that has not taken this much asks the publishers of its own user to slow down. */
export const OUTBOX_PRESSURE_BYTES = 256 * 1024;
/** A queue that is longer than this asks the publishers of its own user for a short break. */
export const BEHIND_MESSAGES = 64;
/** As OUTBOX_LIMIT_BYTES, for all sockets of one user together. */
export const UNSENT_PER_USER_BYTES = 256 * 1024 * 1024;
