/** The store for the other tabs, in the tab that has it open. */
import type { ChangedEvent, Failure, HostEvent } from './host.js';
import type { Leadership } from './leadership.js';
import type { LocalHost } from './local-host.js';
import type { Mailbox, TabId, ToLeader } from './tab-messages.js';

/** What is known of a tab that has joined. */
interface Guest {
  watched: readonly string[];
  visible: boolean;
  /** When it was last heard of, by `performance.now()`. */
  heardAt: number;
  /** How many events were sent to it. */
  sent: number;
  forget: () => void;
}

export class TabServer {
  readonly #host: LocalHost;
  readonly #mailbox: Mailbox;
  readonly #leadership: Leadership;
  readonly #term: number;
  readonly #guests = new Map<TabId, Guest>();
  /** What this tab itself looks at. */
  #watched: readonly string[];
  readonly #unsubscribe: () => void;
  /** Calls that are asked for while it is being closed are left to the next leader. */
  #isClosing = false;
  #isOver = false;
  readonly #guestsChanged: (guests: number) => void;

  constructor(
    host: LocalHost,
    mailbox: Mailbox,
    leadership: Leadership,
    term: number,
    watched: readonly string[],
    guestsChanged: (guests: number) => void,
  ) {
    this.#host = host;
    this.#mailbox = mailbox;
    this.#leadership = leadership;
    this.#term = term;
    this.#watched = watched;
    this.#guestsChanged = guestsChanged;
    this.#unsubscribe = host.subscribe((event) => this.#tell(event));
    this.#watch();
  }

  /** How many other tabs use the store. */
  get size(): number {
    return this.#guests.size;
  }

  /** A tab that a person sees, as far as was heard lately. */
  visibleGuest(heardSince: number): TabId | undefined {
    for (const [tab, { visible, heardAt }] of this.#guests) if (visible && heardAt >= heardSince) return tab;
    return undefined;
  }

  hear(message: ToLeader): void {
    const { tab } = message;
    if (this.#isOver || message.term !== this.#term) return;
    if (message.say === 'join') {
      this.#join(tab, message.watched, message.visible);
      return;
    }
    const guest = this.#guests.get(tab);
    if (!guest) return;
    guest.heardAt = performance.now();
    switch (message.say) {
      case 'ask':
        this.#carryOut(tab, message.id, message.request);
        break;
      case 'watch':
        guest.watched = message.prefixes;
        this.#watch();
        break;
      case 'ping':
        guest.visible = message.visible;
        this.#mailbox.send(tab, { say: 'pong', term: this.#term });
        break;
      case 'leave':
        this.#leave(tab);
        break;
    }
  }

  /** From now on this tab itself looks at these. */
  watch(prefixes: readonly string[]): void {
    this.#watched = prefixes;
    this.#watch();
  }

  /** What was asked for so far is still answered. */
  close(): void {
    this.#isClosing = true;
  }

  /** Offers the store, which is closed here, to a tab. */
  offer(tab: TabId): void {
    this.#mailbox.send(tab, { say: 'yours', term: this.#term });
  }

  /** Nothing is answered any more. */
  end(): void {
    this.#isOver = true;
    this.#unsubscribe();
    for (const [tab, { forget }] of this.#guests) {
      forget();
      this.#mailbox.forget(tab);
    }
    this.#guests.clear();
  }

  #join(tab: TabId, watched: readonly string[], visible: boolean): void {
    if (this.#isClosing) return;
    this.#guests.get(tab)?.forget();
    const forget = this.#leadership.mourn(tab, () => this.#leave(tab));
    this.#guests.set(tab, { watched, visible, heardAt: performance.now(), sent: 0, forget });
    this.#watch();
    this.#mailbox.send(tab, { say: 'joined', term: this.#term, opened: this.#host.opened() });
    this.#guestsChanged(this.#guests.size);
  }

  #leave(tab: TabId): void {
    const guest = this.#guests.get(tab);
    if (!guest) return;
    guest.forget();
    this.#guests.delete(tab);
    this.#mailbox.forget(tab);
    this.#watch();
    this.#guestsChanged(this.#guests.size);
  }

  #carryOut(tab: TabId, id: number, request: Extract<ToLeader, { say: 'ask' }>['request']): void {
    if (this.#isClosing) return;
    const term = this.#term;
    this.#host.call(request).then(
      (reply) => this.#reply(tab, { say: 'reply', term, id, reply }),
      (failure: Failure) => {
        // Not a word about what is asked for again elsewhere.
        if (failure.code === 'Superseded' || failure.code === 'Closed') return;
        this.#reply(tab, { say: 'failure', term, id, failure: plain(failure) });
      },
    );
  }

  #reply(tab: TabId, message: Parameters<Mailbox['send']>[1]): void {
    if (!this.#isOver && this.#guests.has(tab)) this.#mailbox.send(tab, message);
  }

  #watch(): void {
    const all = new Set(this.#watched);
    for (const { watched } of this.#guests.values()) for (const prefix of watched) all.add(prefix);
    const prefixes = all.has('') ? [''] : [...all].sort();
    // It fails only when the engine is gone, and then everybody is told of that.
    this.#host.call({ call: 'watch', prefixes }).catch(() => {});
  }

  #tell(event: HostEvent): void {
    const term = this.#term;
    for (const [tab, guest] of this.#guests) {
      guest.sent += 1;
      const told = event.event === 'changed' ? under(event, guest.watched) : event;
      this.#mailbox.send(tab, { say: 'event', term, number: guest.sent, event: told });
    }
  }
}

/** What of an event somebody wants who looks at some prefixes. */
export function under(event: ChangedEvent, prefixes: readonly string[]): ChangedEvent {
  if (prefixes.includes('')) return event;
  const places: number[] = [];
  for (const [at, key] of event.keys.entries()) if (prefixes.some((prefix) => key.startsWith(prefix))) places.push(at);
  const pick = <T>(column: readonly T[]) => places.map((at) => column[at] as T);
  return {
    ...event,
    keys: pick(event.keys),
    values: pick(event.values),
    previous: pick(event.previous),
    origins: pick(event.origins),
  };
}

/** A failure that structured clone carries: its cause may be anything. */
function plain({ code, message }: Failure): Failure {
  return { code, message };
}
