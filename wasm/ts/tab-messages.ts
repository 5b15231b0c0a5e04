/** What the tabs of a browser say to each other about one store. */
import type { Numbered, Standing } from './dialogue.js';
import type { Calls, Failure, HostEvent, Request } from './host.js';

/** Tabs that speak differently do not work together: of an application that was updated, old tabs have to be reloaded. */
export const TABS_VERSION = 5;

/** A tab, by a number drawn at random; its calls bear it. */
export type TabId = number;

/** To all tabs. */
export type Announcement =
  /** I have the store, or am opening it. */
  | {
      readonly say: 'leading';
      readonly version: number;
      readonly leader: TabId;
      readonly term: number;
      readonly ready: boolean;
    }
  /** Who has it? */
  | { readonly say: 'seeking' };

/** What a tab that has joined says to the leader, none of which may be lost. */
export type FollowerSays =
  | { readonly say: 'ask'; readonly id: number; readonly request: Asked }
  | { readonly say: 'watch'; readonly prefixes: readonly string[] }
  | { readonly say: 'present'; readonly id: string; readonly value: Uint8Array | undefined };

/** What the leader says to such a tab. */
export type LeaderSays =
  | { readonly say: 'reply'; readonly id: number; readonly reply: unknown }
  | { readonly say: 'failure'; readonly id: number; readonly failure: Failure }
  | { readonly say: 'event'; readonly event: HostEvent };

/** To the leader. A tab asks to join until it is answered; one that comes back within a term begins anew, by another `visit`. */
export type ToLeader = { readonly tab: TabId; readonly term: number } & (
  | { readonly say: 'join'; readonly visit: number; readonly watched: readonly string[]; readonly visible: boolean }
  | (FollowerSays & Numbered)
  | ({ readonly say: 'ping'; readonly visible: boolean } & Standing)
  | { readonly say: 'leave' }
);

/** To a tab that has joined. */
export type ToFollower = { readonly term: number } & (
  | { readonly say: 'joined'; readonly visit: number; readonly opened: Calls['open']['reply'] }
  | (LeaderSays & Numbered)
  | ({ readonly say: 'pong' } & Standing)
  /** The store is closed here and yours to open. */
  | { readonly say: 'yours'; readonly goesOnFrom: string | undefined }
);

/** What one tab asks of another. */
export type Asked = Exclude<Request, { call: 'open' | 'watch' | 'present' | 'close' }>;

/** The ways of messages between the tabs: one that all hear, and each tab's own. */
export class Mailbox {
  readonly #name: string;
  readonly #all: BroadcastChannel;
  readonly #own: BroadcastChannel;
  readonly #others = new Map<TabId, BroadcastChannel>();

  constructor(
    name: string,
    tab: TabId,
    hear: (message: Announcement) => void,
    receive: (message: ToLeader | ToFollower) => void,
  ) {
    this.#name = name;
    this.#all = new BroadcastChannel(name);
    this.#all.onmessage = ({ data }) => hear(data);
    this.#own = new BroadcastChannel(`${name}/${tab}`);
    this.#own.onmessage = ({ data }) => receive(data);
  }

  announce(message: Announcement): void {
    this.#all.postMessage(message);
  }

  send(tab: TabId, message: ToLeader | ToFollower): void {
    let channel = this.#others.get(tab);
    if (!channel) {
      channel = new BroadcastChannel(`${this.#name}/${tab}`);
      this.#others.set(tab, channel);
    }
    channel.postMessage(message);
  }

  /** Nothing more is sent to this tab. */
  forget(tab: TabId): void {
    this.#others.get(tab)?.close();
    this.#others.delete(tab);
  }

  close(): void {
    this.#all.close();
    this.#own.close();
    for (const tab of [...this.#others.keys()]) this.forget(tab);
  }
}
