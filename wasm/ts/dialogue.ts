/**
 * What two tabs say to each other: each hears all that the other says, once and in order, though messages may be lost. Chromium throws
 * away those to and from a tab that a debugger has paused, for one.
 *
 * What is said has a number, and is kept until the other is known to have heard it. Pings and pongs tell how far each has got. They
 * arrive after all that was said before them, so whoever has heard less than the other has said by then knows that the rest is lost, and
 * asks for it again. What only takes its time is never said twice, and no clock has a part in it.
 */
export interface Numbered {
  /** From 1. */
  readonly number: number;
}

/** How far one of the two has got. */
export interface Standing {
  /** How many messages it has said. */
  readonly said: number;
  /** How many of the other's it has heard. */
  readonly heard: number;
  /** Whether what comes after those is lost, and is to be said again. */
  readonly again: boolean;
}

export class Dialogue<Message extends object> {
  readonly #post: (message: Message & Numbered) => void;
  /** What the other is not known to have heard, in order. */
  readonly #unheard: (Message & Numbered)[] = [];
  #said = 0;
  #heard = 0;
  /** How many the other has said, as far as is known: if that is more than were heard, they are to be asked for again. */
  #known = 0;

  constructor(post: (message: Message & Numbered) => void) {
    this.#post = post;
  }

  /** How many messages the other is not known to have heard. */
  get unheard(): number {
    return this.#unheard.length;
  }

  say(message: Message): void {
    const numbered = { ...message, number: this.#said + 1 };
    // First: what cannot be posted is not said.
    this.#post(numbered);
    this.#said = numbered.number;
    this.#unheard.push(numbered);
  }

  /** Whether a message is the next one. If not, it was heard already, or comes again after those that are missing before it. */
  hear({ number }: Numbered): boolean {
    this.#known = Math.max(this.#known, number);
    if (number !== this.#heard + 1) return false;
    this.#heard = number;
    return true;
  }

  /** What the other is to be told with a ping or pong. */
  standing(): Standing {
    const again = this.#known > this.#heard;
    // Asked for once: if that is lost too, the other's next standing tells.
    this.#known = this.#heard;
    return { said: this.#said, heard: this.#heard, again };
  }

  /** What the other has told with one. */
  learn({ said, heard, again }: Standing): void {
    this.#known = Math.max(this.#known, said);
    const first = this.#said - this.#unheard.length + 1;
    this.#unheard.splice(0, Math.max(0, heard + 1 - first));
    if (again) for (const message of this.#unheard) this.#post(message);
  }
}
