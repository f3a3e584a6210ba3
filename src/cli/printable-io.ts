import { printable } from '../observe/printable.js';
import type { CommandIo } from './command.js';

type Output = CommandIo['stdout'];

const beneath = new WeakMap<Output, Output>();

/**
 * The world of a command, with standard output and error that make everything printable that is written to them: logins,
 * topics and file names were chosen by somebody else.
 */
export function printableIo(io: CommandIo): CommandIo {
  return { ...io, stdout: printableOutput(io.stdout), stderr: printableOutput(io.stderr) };
}

/** The stream itself, for what moves the cursor on purpose and holds nothing that anybody else chose. */
export function rawOutput(stream: Output): Output {
  return beneath.get(stream) ?? stream;
}

function printableOutput(stream: Output): Output {
  const door: Output = new Proxy(stream, {
    get(target, key) {
      if (key === 'write') {
        return (chunk: unknown, ...rest: never[]) =>
          target.write((typeof chunk === 'string' ? printable(chunk) : chunk) as string, ...rest);
      }
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
  beneath.set(door, stream);
  return door;
}
