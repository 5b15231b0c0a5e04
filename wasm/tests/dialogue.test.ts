/** What two tabs say to each other, while messages are lost. */
import { describe, expect, it } from 'vitest';
import { Dialogue, type Numbered, type Standing } from '../ts/dialogue.js';
import { seeds, withSeed } from './random.js';

type Posted = (Numbered & { readonly what: string }) | { readonly ping: Standing } | { readonly pong: Standing };

/** One of two tabs. */
class Side {
  /** On its way to this one. */
  readonly inbox: Posted[] = [];
  readonly heard: string[] = [];
  readonly said: string[] = [];
  readonly #dialogue: Dialogue<{ what: string }>;
  readonly #post: (message: Posted) => void;

  constructor(post: (message: Posted) => void) {
    this.#post = post;
    this.#dialogue = new Dialogue<{ what: string }>(post);
  }

  get unheard(): number {
    return this.#dialogue.unheard;
  }

  say(what: string): void {
    this.said.push(what);
    this.#dialogue.say({ what });
  }

  ping(): void {
    this.#post({ ping: this.#dialogue.standing() });
  }

  /** Takes a message that has arrived. */
  take(): void {
    const message = this.inbox.shift();
    if (!message) return;
    if ('number' in message) {
      if (this.#dialogue.hear(message)) this.heard.push(message.what);
    } else if ('ping' in message) {
      this.#dialogue.learn(message.ping);
      this.#post({ pong: this.#dialogue.standing() });
    } else {
      this.#dialogue.learn(message.pong);
    }
  }

  /** Loses a message that was about to arrive. */
  lose(): void {
    this.inbox.shift();
  }
}

/** Two tabs, of which the first pings. */
function two(): [Side, Side] {
  const one: Side = new Side((message) => other.inbox.push(message));
  const other: Side = new Side((message) => one.inbox.push(message));
  return [one, other];
}

/** A ping and all that follows from it. */
function exchange(one: Side, other: Side): void {
  one.ping();
  while (one.inbox.length + other.inbox.length > 0) {
    other.take();
    one.take();
  }
}

describe('what is said', () => {
  it('is kept until it is known to be heard, and posted once when nothing is lost, however long it takes', () => {
    const [one, other] = two();
    for (const what of ['a', 'b']) one.say(what);
    one.ping();
    one.say('c');
    one.ping();
    other.say('d');
    expect(other.inbox).toHaveLength(5);
    expect(one.unheard).toBe(3);
    exchange(one, other);
    expect(other.heard).toEqual(['a', 'b', 'c']);
    expect(one.heard).toEqual(['d']);
    exchange(one, other);
    expect([one.unheard, other.unheard]).toEqual([0, 0]);
  });

  it('is said again when it was lost, with all that came after it', () => {
    const [one, other] = two();
    for (const what of ['a', 'b', 'c']) one.say(what);
    other.take();
    other.lose();
    exchange(one, other);
    expect(other.heard).toEqual(['a', 'b', 'c']);
    // The last one, after which nothing shows that it is missing.
    one.say('d');
    other.lose();
    exchange(one, other);
    expect(other.heard).toEqual(['a', 'b', 'c', 'd']);
    other.say('e');
    one.lose();
    // One to learn of it, one to ask.
    exchange(one, other);
    exchange(one, other);
    expect(one.heard).toEqual(['e']);
  });

  it('is asked for once again, not with every ping that waits for the answer', () => {
    const [one, other] = two();
    other.say('a');
    one.lose();
    exchange(one, other);
    for (let n = 0; n < 5; n += 1) one.ping();
    while (other.inbox.length > 0) other.take();
    expect(one.inbox.filter((message) => 'number' in message)).toHaveLength(1);
  });

  it('is heard once and in order, whatever is lost', () => {
    for (const seed of seeds(300)) {
      withSeed(seed, (random) => {
        const [one, other] = two();
        for (let n = 0; n < 500; n += 1) {
          const side = random() < 0.5 ? one : other;
          const chance = random();
          if (chance < 0.3) side.say(`${n}`);
          else if (chance < 0.5) one.ping();
          else if (chance < 0.6) side.lose();
          else side.take();
        }
        // What is on its way, what that shows to be lost, and that it has arrived.
        for (let n = 0; n < 4; n += 1) exchange(one, other);
        expect(one.heard).toEqual(other.said);
        expect(other.heard).toEqual(one.said);
        expect([one.unheard, other.unheard]).toEqual([0, 0]);
      });
    }
  });
});
