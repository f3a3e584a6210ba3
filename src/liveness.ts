/**
 * What a proxy asks to know whether a broker is at work, and what it is answered: a header of the PROXY protocol that is
 * about nobody (LOCAL), and a record of TLS that says no more than that there is nothing to come (the alert
 * `close_notify`), which comes back. It needs no handshake: how soon it is answered does not depend on how many clients
 * are arriving.
 */
export const LIVENESS_ANSWER = Buffer.from('15030300020100', 'hex');
export const LIVENESS_QUESTION = Buffer.concat([
  Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'),
  LIVENESS_ANSWER,
]);
