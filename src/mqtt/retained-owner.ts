interface Kept {
  readonly topic: string;
  /** The login of who published it; null: that was not kept. */
  readonly owner: string | null;
}

/** Of a message of which nobody kept whose it is, the owner of the tree that it is in, as the default rules have it. */
export function ownerOf({ owner, topic }: Kept): string {
  return owner ?? topic.split('/', 2)[1] ?? '';
}

/** Is it of the user: published by him, or in his tree (`home`), whose next owner would be given it? */
export function isRetainedOf(login: string, home: string | null, message: Kept): boolean {
  return ownerOf(message) === login || (home !== null && `${message.topic}/`.startsWith(home));
}
