import type { CertificateKind, DropOptions, Fault, FaultScope, Faults } from './fault-api.js';
import type { FaultBoard } from './fault-board.js';
import { packetType } from './frames.js';

const certificateKinds: readonly CertificateKind[] = [
  'valid',
  'rotated',
  'expired',
  'not-yet-valid',
  'wrong-host',
  'unknown-ca',
];

/** The faults as the test sets them. */
export class FaultSwitches implements Faults {
  readonly #board: FaultBoard;

  constructor(board: FaultBoard) {
    this.#board = board;
  }

  refuseConnect(code: number, scope: FaultScope = {}): Fault {
    return this.#board.add('refuseConnect', { code }, scope);
  }

  credentialsDown(scope: { readonly login?: string } = {}): Fault {
    return this.#board.add('credentialsDown', null, scope);
  }

  credentialsSlow(delayMs: number, scope: { readonly login?: string } = {}): Fault {
    return this.#board.add('credentialsSlow', { delayMs }, scope);
  }

  dropConnection(options: DropOptions = {}): Fault {
    const { after = 1, from = 'client', packet, midPacket = false } = options;
    const type = packet === undefined ? null : packetType(packet);
    return this.#board.add('dropConnection', { after, from, type, midPacket }, options);
  }

  sendDisconnect(reasonCode: number, scope: FaultScope = {}): Fault {
    if (!Number.isInteger(reasonCode) || reasonCode < 0 || reasonCode > 255) {
      throw new RangeError(`sendDisconnect(${reasonCode}): a reason code from 0 to 255, such as 0x8b`);
    }
    return this.#board.add('sendDisconnect', { reasonCode }, scope);
  }

  holdAcknowledgements(scope: FaultScope = {}): Fault {
    return this.#board.add('holdAcknowledgements', null, scope);
  }

  loseAcknowledgement(scope: FaultScope & { readonly keepConnection?: boolean } = {}): Fault {
    return this.#board.add('loseAcknowledgement', { keepConnection: scope.keepConnection ?? false }, scope);
  }

  delayDelivery(delayMs: number, scope: FaultScope = {}): Fault {
    return this.#board.add('delayDelivery', { delayMs }, scope);
  }

  throttleDelivery(bytesPerSecond: number, scope: FaultScope = {}): Fault {
    return this.#board.add('throttleDelivery', { bytesPerSecond }, scope);
  }

  stallReading(scope: FaultScope = {}): Fault {
    return this.#board.add('stallReading', null, scope);
  }

  certificate(kind: CertificateKind): Fault {
    if (!certificateKinds.includes(kind)) throw new RangeError(`${kind}: not one of ${certificateKinds.join(', ')}`);
    return this.#board.add('certificate', { kind }, {});
  }

  liftAll(): void {
    this.#board.liftAll();
  }
}
