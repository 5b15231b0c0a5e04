/**
 * Which tab has the store: the one that holds a Web Lock, which the browser gives to the next as soon as its holder is gone, however it
 * went. A holder that only does not move any more, since the browser has frozen it, keeps its lock; it is taken away from that one.
 */
import type { TabId } from './tab-messages.js';

export interface LeadershipEvents {
  /** From now on others can tell whether this tab lives: whoever looked before would take it for gone. */
  known(): void;
  /** The browser does not let this tab have locks. */
  refused(error: DOMException): void;
  /** This tab has the lock; `takesOver`: it was taken from another, which may not know yet. */
  gained(takesOver: boolean): void;
  /** Another tab has taken the lock away from this one. */
  lost(): void;
}

export class Leadership {
  readonly #name: string;
  /** The lock that says that this tab lives. */
  readonly #life: string;
  readonly #events: LeadershipEvents;
  /** Ends this tab's being known to live. */
  #die: () => void = () => {};
  #isKnown = false;
  /** Waits for the lock until it is aborted. */
  #standing: AbortController | undefined;
  /** Gives the lock back. */
  #release: (() => void) | undefined;
  /** Who had the lock when it was looked at last. */
  #suspect: string | undefined;

  constructor(name: string, tab: TabId, events: LeadershipEvents) {
    this.#name = name;
    this.#life = lifeLock(name, tab);
    this.#events = events;
    // Held as long as this tab lives.
    const life = new Promise<void>((resolve) => {
      this.#die = resolve;
    });
    const live = () => {
      this.#isKnown = true;
      events.known();
      return life;
    };
    navigator.locks.request(this.#life, live).catch((error) => {
      if (!this.#isKnown) events.refused(error);
    });
  }

  /** Whether others can tell that this tab lives. */
  get isKnown(): boolean {
    return this.#isKnown;
  }

  /** Takes the lock as soon as nobody else has it. */
  stand(): void {
    if (this.#standing || this.#release) return;
    const standing = new AbortController();
    this.#standing = standing;
    this.#ask({ signal: standing.signal }, false);
  }

  /** Looks who has the lock, so that one who stays silent from now on is known to be the same. */
  look(): void {
    const looked = holders().then((holderOf) => {
      this.#suspect = holderOf(this.#name);
    });
    quietly(looked);
  }

  /** Takes the lock from a tab that has offered it, unless that has it no more. */
  async succeed(leader: TabId): Promise<void> {
    await this.#take((holder, holderOf) => holder === holderOf(lifeLock(this.#name, leader)));
    this.stand();
  }

  /**
   * Takes the lock from a tab that does not answer: from `leader`, or from whoever has it if nobody has said so. Does nothing when
   * somebody else was quicker.
   * @param isSilent whether it still does not answer, asked last of all
   */
  async seize(leader: TabId | undefined, isSilent: () => boolean): Promise<void> {
    await this.#take((holder, holderOf) => {
      const suspect = leader === undefined ? this.#suspect : holderOf(lifeLock(this.#name, leader));
      this.#suspect = holder;
      return holder === suspect && isSilent();
    });
  }

  /** Takes the lock from the one that has it, if that is the one. */
  async #take(isTheOne: (holder: string, holderOf: HolderOf) => boolean): Promise<void> {
    // One after the other: who comes second sees that another holds it.
    await navigator.locks.request(`${this.#name}/succession`, async () => {
      const holderOf = await holders();
      const holder = holderOf(this.#name);
      // Nobody: the next in the line gets it.
      if (holder === undefined || this.#release || !isTheOne(holder, holderOf)) return;
      this.#standing?.abort();
      this.#standing = undefined;
      await new Promise<void>((resolve) => this.#ask({ steal: true }, true, resolve));
    });
  }

  /** Whether another tab has taken the lock from this one, which may not have been told yet. */
  async isTaken(): Promise<boolean> {
    if (!this.#isKnown) return false;
    const holderOf = await holders();
    return holderOf(this.#name) !== holderOf(this.#life);
  }

  /** Calls `gone` when a tab is: closed, crashed or thrown away. Until the returned function is called. */
  mourn(tab: TabId, gone: () => void): () => void {
    const watching = new AbortController();
    quietly(navigator.locks.request(lifeLock(this.#name, tab), { signal: watching.signal }, gone));
    return () => watching.abort();
  }

  /** Gives the lock back, if this tab has it. */
  resign(): void {
    const release = this.#release;
    this.#release = undefined;
    release?.();
  }

  /** This tab has no part in it any more. */
  end(): void {
    this.#standing?.abort();
    this.#standing = undefined;
    this.resign();
    this.#die();
  }

  #ask(options: LockOptions, takesOver: boolean, granted: () => void = () => {}): void {
    let own: (() => void) | undefined;
    const hold = () =>
      new Promise<void>((resolve) => {
        own = resolve;
        this.#release = resolve;
        this.#standing = undefined;
        granted();
        this.#events.gained(takesOver);
      });
    navigator.locks.request(this.#name, options, hold).catch(() => {
      // The request was taken back, or the lock taken away.
      if (own === undefined || this.#release !== own) return;
      this.#release = undefined;
      this.#events.lost();
    });
  }
}

/** Who holds a lock, if anybody does. */
type HolderOf = (lock: string) => string | undefined;

/** Who holds which at this moment. */
async function holders(): Promise<HolderOf> {
  const { held = [] } = await navigator.locks.query();
  return (name) => held.find((lock) => lock.name === name)?.clientId;
}

/** For a request that only ends with an error because it is taken back. */
function quietly(request: Promise<unknown>): void {
  request.catch(() => {});
}

function lifeLock(name: string, tab: TabId): string {
  return `${name}/tab/${tab}`;
}
