/** A PUBLISH as aedes's pipeline carries it. */
export interface Packet {
  cmd: 'publish';
  topic: string;
  payload: Buffer;
  qos: 0 | 1 | 2;
  retain: boolean;
  dup: boolean;
}
