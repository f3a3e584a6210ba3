/** Methods that Buffer has and its types lack: decoding a range without an encoding's name to look up first. */
declare global {
  interface Buffer {
    latin1Slice(start: number, end: number): string;
    utf8Slice(start: number, end: number): string;
  }
}

export {};
