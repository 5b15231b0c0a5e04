/** The store for the other tabs, in the tab that has it open. */
import { ChangeBuffer } from './change-buffer.js';
import { Dialogue } from './dialogue.js';
import type { ChangedEvent, Failure, Found, HostEvent, PresenceEvent, Status } from './host.js';
import type { Leadership } from './leadership.js';
import type { LocalHost } from './local-host.js';
import { keepPresent } from './presence.js';
import type { Asked, LeaderSays, Mailbox, TabId, ToLeader } from './tab-messages.js';

/**
 * How many messages a tab may be behind and still be sent events: one that the browser has frozen hears nothing, and what is sent to it
 * waits in the browser's memory, and here, should it be lost. From then on events are kept, once a key.
 */
const AHEAD_MAX = 256;

/** What is known of a tab that has joined. */
interface Guest {
  readonly visit: number;
  readonly dialogue: Dialogue<LeaderSays>;
  watched: readonly string[];
  visible: boolean;
  /** When it was last heard of, by `performance.now()`. */
  heardAt: number;
  /** Under which id it is present, if it is. */
  present: string | undefined;
  /** What is kept for it while it is too far behind to be sent more. */
  behind: Behind | undefined;
  readonly forget: () => void;
}

/** What a tab that hears nothing at present has to be told. */
class Behind {
  readonly #changes = new ChangeBuffer();
  readonly #conflicts = new Set<string>();
  #size: number | undefined;
  #status: Status | undefined;
  #present: Pick<PresenceEvent, 'home' | 'present'> | undefined;
  readonly #presences = new Map<string, Uint8Array>();

  push(event: HostEvent, watched: readonly string[]): void {
    if (event.event === 'status') this.#status = event.status;
    else if (event.event === 'size') this.#size = event.size;
    else if (event.event === 'presence') {
      this.#present = event;
      keepPresent(this.#presences, event.present, event.changed);
    } else if (event.event === 'changed') {
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
      const values: (Found | undefined)[] = [];
      const previous: (Found | undefined)[] = [];
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
    if (!this.#present) return;
    const { home, present } = this.#present;
    yield { event: 'presence', home, present, changed: [...this.#presences] };
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

  /** Whether it leaves what is asked for to the next leader. */
  get isClosing(): boolean {
    return this.#isClosing;
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
      this.#join(message);
      return;
    }
    const guest = this.#guests.get(tab);
    if (!guest) return;
    guest.heardAt = performance.now();
    if ('number' in message && !guest.dialogue.hear(message)) return;
    switch (message.say) {
      case 'ask':
        this.#carryOut(tab, guest, message.id, message.request);
        break;
      case 'watch':
        guest.watched = message.prefixes;
        this.#watch();
        break;
      case 'present':
        this.#present(guest, message.id, message.value);
        break;
      case 'ping':
        guest.visible = message.visible;
        guest.dialogue.learn(message);
        this.#catchUp(guest);
        // A browser may stop a tab that it closes half-way: the others must not take it for one that leads still.
        if (this.#isClosing) return;
        this.#mailbox.send(tab, { say: 'pong', term: this.#term, ...guest.dialogue.standing() });
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

  #join({ tab, visit, watched, visible }: Extract<ToLeader, { say: 'join' }>): void {
    if (this.#isClosing) return;
    const term = this.#term;
    const before = this.#guests.get(tab);
    if (before?.visit !== visit) {
      before?.forget();
      this.#guests.set(tab, {
        visit,
        dialogue: new Dialogue((message) => this.#mailbox.send(tab, { ...message, term })),
        watched,
        visible,
        heardAt: performance.now(),
        // It may be gone before it says so again.
        present: before?.present,
        behind: undefined,
        forget: this.#leadership.mourn(tab, () => this.#leave(tab)),
      });
      this.#watch();
    }
    this.#mailbox.send(tab, { say: 'joined', term, visit, opened: this.#host.opened() });
    this.#guestsChanged(this.#guests.size);
  }

  #leave(tab: TabId): void {
    const guest = this.#guests.get(tab);
    if (!guest) return;
    guest.forget();
    this.#guests.delete(tab);
    this.#mailbox.forget(tab);
    this.#watch();
    if (guest.present !== undefined) this.#present(guest, guest.present, undefined);
    this.#guestsChanged(this.#guests.size);
  }

  #carryOut(tab: TabId, guest: Guest, id: number, request: Asked): void {
    if (this.#isClosing) return;
    const answer = (message: LeaderSays) => {
      if (this.#guests.get(tab) === guest) guest.dialogue.say(message);
    };
    this.#host.call(request).then(
      (reply) => answer({ say: 'reply', id, reply }),
      (failure: Failure) => {
        // Not a word about what is asked for again elsewhere.
        if (failure.code === 'Superseded' || failure.code === 'Closed') return;
        answer({ say: 'failure', id, failure: plain(failure) });
      },
    );
  }

  #present(guest: Guest, id: string, value: Uint8Array | undefined): void {
    guest.present = value && id;
    // It fails only when the engine is gone, and then nobody is told of anybody.
    this.#host.call({ call: 'present', id, value }).catch(() => {});
  }

  #watch(): void {
    const all = new Set(this.#watched);
    for (const { watched } of this.#guests.values()) for (const prefix of watched) all.add(prefix);
    const prefixes = all.has('') ? [''] : [...all].sort();
    // It fails only when the engine is gone, and then everybody is told of that.
    this.#host.call({ call: 'watch', prefixes }).catch(() => {});
  }

  #tell(event: HostEvent): void {
    for (const guest of this.#guests.values()) {
      if (!guest.behind && guest.dialogue.unheard >= AHEAD_MAX) guest.behind = new Behind();
      if (guest.behind) guest.behind.push(event, guest.watched);
      else this.#tellGuest(guest, event);
    }
  }

  #tellGuest({ dialogue, watched }: Guest, event: HostEvent): void {
    dialogue.say({ say: 'event', event: event.event === 'changed' ? under(event, watched) : event });
  }

  /** Tells a tab that hears again what was kept for it. */
  #catchUp(guest: Guest): void {
    const { behind, dialogue } = guest;
    if (!behind || dialogue.unheard >= AHEAD_MAX) return;
    guest.behind = undefined;
    for (const event of behind.events()) this.#tellGuest(guest, event);
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
