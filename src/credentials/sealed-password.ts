import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto';

/**
 * A password that must be asked again later, because the backend has no other way to tell whether it still holds.
 * Encrypted (AES-256-GCM) with a key that is made anew in each process and never leaves it. That keeps passwords out of
 * logs, inspections, heap searches and swapped or dumped pages that don't hold the key; it can't keep them from somebody
 * who reads the whole memory of the process.
 */
export class SealedPassword {
  readonly #sealer: PasswordSealer;
  readonly #nonce: Buffer;
  readonly #sealed: Buffer;

  constructor(sealer: PasswordSealer, nonce: Buffer, sealed: Buffer) {
    this.#sealer = sealer;
    this.#nonce = nonce;
    this.#sealed = sealed;
  }

  open(): string {
    return this.#sealer.open(this.#nonce, this.#sealed);
  }
}

export class PasswordSealer {
  readonly #key = randomBytes(32);
  readonly #markKey = randomBytes(32);

  seal(password: string): SealedPassword {
    const nonce = randomBytes(12);
    const cipher = createCipheriv('aes-256-gcm', this.#key, nonce);
    const sealed = Buffer.concat([cipher.update(password, 'utf8'), cipher.final(), cipher.getAuthTag()]);
    return new SealedPassword(this, nonce, sealed);
  }

  /** Equal for equal account and password; says nothing to whom the process's key is unknown. */
  mark(account: string, password: string): string {
    const hmac = createHmac('sha256', this.#markKey);
    return hmac
      .update(`${Buffer.byteLength(account)}:`)
      .update(account)
      .update(password)
      .digest('base64');
  }

  open(nonce: Buffer, sealed: Buffer): string {
    const decipher = createDecipheriv('aes-256-gcm', this.#key, nonce);
    decipher.setAuthTag(sealed.subarray(-16));
    return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()]).toString('utf8');
  }
}

/**
 * What each session that was accepted with one account and password holds: all of them the same object, so that it is
 * asked once for all, and a password that has become wrong is not tried once per session until the account is locked.
 */
export class SharedProofs<P extends object> {
  readonly #proofs = new Map<string, WeakRef<P>>();
  readonly #forgotten = new FinalizationRegistry<string>((mark) => {
    if (this.#proofs.get(mark)?.deref() === undefined) this.#proofs.delete(mark);
  });

  get(mark: string, make: () => P): P {
    const known = this.#proofs.get(mark)?.deref();
    if (known !== undefined) return known;
    const proof = make();
    this.#proofs.set(mark, new WeakRef(proof));
    this.#forgotten.register(proof, mark);
    return proof;
  }
}
