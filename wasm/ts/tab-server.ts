/** The store for the other tabs, in the tab that has it open. */
import { ChangeBuffer } from './change-buffer.js';
import type { ChangedEvent, Failure, HostEvent, Status } from './host.js';
import type { Leadership } from './leadership.js';
import type { LocalHost } from './local-host.js';
import type { Mailbox, TabId, ToLeader } from './tab-messages.js';

/**
 * How many events a tab is sent before it has said that it heard them: one that the browser has frozen hears nothing, and what is sent to it
 * waits in the browser's memory. From then on it is kept here, once a key.
 */
const EVENTS_AHEAD_MAX = 256;

/** What is known of a tab that has joined. */
interface Guest {
  watched: readonly string[];
  visible: boolean;
  /** When it was last heard of, by `performance.now()`. */
  heardAt: number;
  /** How many events were sent to it, and how many it has said to have heard. */
  sent: number;
  heard: number;
  /** What is kept for it while it is too far behind to be sent more. */
  behind: Behind | undefined;
  forget: () => void;
}

/** What a tab that hears nothing at present has to be told. */
class Behind {
  readonly #changes = new ChangeBuffer();
  readonly #conflicts = new Set<string>();
  #size: number | undefined;
  #status: Status | undefined;

  push(event: HostEvent, watched: readonly string[]): void {
    if (event.event === 'status') this.#status = event.status;
    else if (event.event === 'size') this.#size = event.size;
    else if (event.event === 'changed') {
      this.#size = event.size;
      this.#changes.push(event, isUnder(watched));
      for (const key of event.conflicts) this.#conflicts.add(key);
    }
  }

  /** The events that say the same. */
  *events(): Generator<HostEvent> {
    const size = this.#size;
    if (size !== undefined) {
      const keys: string[] = [];
      const values: (Uint8Array | undefined)[] = [];
      const previous: (Uint8Array | undefined)[] = [];
      const origins: ('local' | 'remote')[] = [];
      for (let next = this.#changes.take(); next; next = this.#changes.take()) {
        const [key, change] = next;
        keys.push(key);
        values.push(change.value);
        previous.push(change.previous);
        origins.push(change.origin);
      }
      yield { event: 'changed', keys, values, previous, origins, conflicts: [...this.#conflicts], size };
    }
    if (this.#status) yield { event: 'status', status: this.#status };
  }
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
    if (message.say === 'ping') this.#heard(tab, guest, message.heard);
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
  offer(tab: TabId, goesOnFrom: string | undefined): void {
    this.#mailbox.send(tab, { say: 'yours', term: this.#term, goesOnFrom });
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
    this.#guests.set(tab, {
      watched,
      visible,
      heardAt: performance.now(),
      sent: 0,
      heard: 0,
      behind: undefined,
      forget,
    });
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
    for (const [tab, guest] of this.#guests) {
      if (!guest.behind && guest.sent - guest.heard >= EVENTS_AHEAD_MAX) guest.behind = new Behind();
      if (guest.behind) guest.behind.push(event, guest.watched);
      else this.#sendEvent(tab, guest, event);
    }
  }

  #sendEvent(tab: TabId, guest: Guest, event: HostEvent): void {
    guest.sent += 1;
    const told = event.event === 'changed' ? under(event, guest.watched) : event;
    this.#mailbox.send(tab, { say: 'event', term: this.#term, number: guest.sent, event: told });
  }

  /** A tab says how many events it has heard. */
  #heard(tab: TabId, guest: Guest, heard: number): void {
    guest.heard = Math.max(guest.heard, Math.min(heard, guest.sent));
    const { behind } = guest;
    if (!behind || guest.heard < guest.sent) return;
    guest.behind = undefined;
    for (const event of behind.events()) this.#sendEvent(tab, guest, event);
  }
}

/** What of an event somebody wants who looks at some prefixes. */
export function under(event: ChangedEvent, prefixes: readonly string[]): ChangedEvent {
  if (prefixes.includes('')) return event;
  const isWanted = isUnder(prefixes);
  const places: number[] = [];
  for (const [at, key] of event.keys.entries()) if (isWanted(key)) places.push(at);
  const pick = <T>(column: readonly T[]) => places.map((at) => column[at] as T);
  return {
    ...event,
    keys: pick(event.keys),
    values: pick(event.values),
    previous: pick(event.previous),
    origins: pick(event.origins),
  };
}

function isUnder(prefixes: readonly string[]): (key: string) => boolean {
  return (key) => prefixes.some((prefix) => key.startsWith(prefix));
}

/** A failure that structured clone carries: its cause may be anything. */
function plain({ code, message }: Failure): Failure {
  return { code, message };
}
