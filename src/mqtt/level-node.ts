/**
 * A node of a tree of topic levels, with its next levels by their text. Most nodes have one child, for which a map would
 * take several times as much as all the rest: what ten thousand deep topics take in memory is decided here.
 */
export abstract class LevelNode<Node extends LevelNode<Node>> {
  #onlyName = '';
  #only: Node | null = null;
  #more: Map<string, Node> | null = null;

  get childless(): boolean {
    return this.#only === null && this.#more === null;
  }

  child(level: string): Node | null {
    if (this.#only !== null) return this.#onlyName === level ? this.#only : null;
    return this.#more?.get(level) ?? null;
  }

  /** There is no child of that name yet. */
  addChild(level: string, child: Node): void {
    if (this.#more !== null) this.#more.set(level, child);
    else if (this.#only === null) {
      this.#only = child;
      this.#onlyName = level;
    } else {
      this.#more = new Map([
        [this.#onlyName, this.#only],
        [level, child],
      ]);
      this.#only = null;
      this.#onlyName = '';
    }
  }

  /** There is a child of that name. */
  cutChild(level: string): void {
    if (this.#only !== null) {
      this.#only = null;
      this.#onlyName = '';
    } else if (this.#more!.delete(level) && this.#more!.size === 0) this.#more = null;
  }

  /** Calls back with each child and its name. */
  forEachChild(callback: (child: Node, level: string) => void): void {
    if (this.#only !== null) callback(this.#only, this.#onlyName);
    else this.#more?.forEach(callback);
  }
}
