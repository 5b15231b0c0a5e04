/**
 * One store for all tabs of a browser: the tab that leads has it open, the others ask that one. To the facade it is always the same;
 * which tab leads may change at any moment, and calls that are under way go on to the next.
 *
 * A leader that is closed or crashes loses its lock, and the next in the line has it at once. One that is frozen keeps its lock and falls
 * silent: a follower that gets no answer takes the lock away, and with it the right to write to the disk. One that nobody sees for a
 * while closes the store and hands it to a tab that somebody does see.
 */
import { Dialogue } from './dialogue.js';
import { loadEngine } from './engine.js';
import type { Calls, EngineHost, Failure, HostEvent, Reply, Request, Status } from './host.js';
import { Leadership } from './leadership.js';
import { leftStatus } from './left-status.js';
import { LocalHost } from './local-host.js';
import { Outbox, type Outgoing } from './outbox.js';
import { keepPresent } from './presence.js';
import {
  type Announcement,
  type Asked,
  type FollowerSays,
  Mailbox,
  TABS_VERSION,
  type TabId,
  type ToFollower,
  type ToLeader,
} from './tab-messages.js';
import { TabServer } from './tab-server.js';

/** How often a follower says that it is there, and whoever looks for the leader asks. */
const PING_INTERVAL_MS = 200;

/** After how many of its messages the leader is told that they were heard, at the latest. */
const HEARD_TOLD_EVERY = 64;

/**
 * A leader that has not answered for so long, and not to so many pings, does not move any more. Counted in pings as well, since a tab that
 * was itself held up has not heard anything either.
 */
const SILENCE_MS = 1_000;
const SILENT_PINGS = 4;

/** How long a leader may take to open the store before it is taken for one that does not move, however often it says that it does. */
const OPENING_PATIENCE_MS = 15_000;

/** How long a leader that nobody sees keeps the store while somebody sees another tab. */
const HIDDEN_PATIENCE_MS = 10_000;

/** When a follower gets the engine ready, to be quick should it have to lead: once the page has had time for what is more urgent. */
const PREPARE_AFTER_MS = 1_000;

/** After how many pings without a leader that has the store open people are told: some seconds, in which this tab was awake. */
const UNSERVED_PINGS = 25;

/** How long one that begins to lead waits for others to join before it takes itself to be the only tab. */
const COMPANY_PATIENCE_MS = 3_000;

/** How long a tab that was offered the store has to take it. */
const OFFER_PATIENCE_MS = 1_000;

type OpenRequest = Calls['open']['request'];

interface Leading {
  readonly is: 'leading';
  readonly term: number;
  readonly host: LocalHost;
  /** Not before the store is open. */
  server?: TabServer;
}

interface Following {
  readonly is: 'following';
  readonly leader: TabId;
  readonly term: number;
  /** Tells this time from others that this tab has followed in the same term. */
  readonly visit: number;
  /** Since when, by `performance.now()`. */
  readonly since: number;
  /** Since this tab has joined. */
  dialogue?: Dialogue<FollowerSays>;
}

type Role =
  | { readonly is: 'seeking' }
  | Following
  | Leading
  /** Without the others: they cannot be spoken to, or nothing is kept that could be shared. */
  | { readonly is: 'alone'; readonly host: LocalHost }
  | { readonly is: 'over'; readonly failure: Failure };

export class SharedHost implements EngineHost {
  readonly #listeners = new Set<(event: HostEvent) => void>();
  readonly #tab: TabId = randomNumber();
  readonly #outbox = new Outbox(this.#tab);
  readonly #newHost: () => LocalHost;
  #request: OpenRequest | undefined;
  #mailbox: Mailbox | undefined;
  #leadership: Leadership | undefined;
  #role: Role = { is: 'over', failure: { code: 'Closed', message: 'the store is not open; open it first' } };
  #watched: readonly string[] = [];
  /** What this tab says of itself. */
  #present: Calls['present']['request'] | undefined;
  /** Who is present, as was told last. */
  readonly #presences = new Map<string, Uint8Array>();
  /** The home of the tab that leads, as was told last. */
  #home: string | undefined;
  /** What became of what was stored before, if it was gone. */
  #lost: string | undefined;
  /** The last that was told. */
  #status: Status | undefined;
  /** When the leader was last heard, and how many pings have gone out since. */
  #heardAt = 0;
  #pings = 0;
  #isSeizing = false;
  /** How many pings ago there was a store to ask. */
  #unserved = 0;
  /** Whether there are other tabs, or may be: one of them could take over what is under way here. */
  #hasCompany = false;
  /** Where the leader ended that has handed the store to this tab. */
  #goesOnFrom: string | undefined;
  #pinging: ReturnType<typeof setInterval> | undefined;
  #hiddenTimer: ReturnType<typeof setTimeout> | undefined;
  #preparing: ReturnType<typeof setTimeout> | undefined;
  /** Whom the first opening waits for. */
  #opening: { resolve: (opened: Calls['open']['reply']) => void; reject: (failure: Failure) => void } | undefined;

  /** What is missing here for tabs to find each other and to share what is kept; `undefined`: nothing. */
  static missing(): string | undefined {
    const { navigator, BroadcastChannel, indexedDB, isSecureContext } = globalThis as {
      navigator?: { locks?: unknown };
      BroadcastChannel?: unknown;
      indexedDB?: unknown;
      isSecureContext?: boolean;
    };
    if (!indexedDB) return 'there is no IndexedDB here';
    if (isSecureContext === false) return 'the page is not served over HTTPS, nor from this machine: serve it so';
    if (!navigator?.locks || !BroadcastChannel) return 'this browser has no Web Locks or no BroadcastChannel';
    return undefined;
  }

  /** @param newHost how to get a host of this tab's own; tests hand in one that fails. */
  constructor(newHost: () => LocalHost = () => new LocalHost()) {
    this.#newHost = newHost;
  }

  subscribe(listener: (event: HostEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  call<R extends Request>(request: R): Promise<Reply<R>> {
    return this.#carryOut(request) as Promise<Reply<R>>;
  }

  #carryOut(request: Request): Promise<unknown> {
    switch (request.call) {
      case 'open':
        return this.#open(request);
      case 'close':
        return this.#close();
      case 'watch':
        this.#watch(request.prefixes);
        return Promise.resolve();
      case 'present':
        this.#present = request;
        this.#sayPresent();
        return Promise.resolve();
      default:
        if (this.#role.is === 'over') return Promise.reject(this.#role.failure);
        return this.#outbox.ask(request satisfies Asked);
    }
  }

  #open(request: OpenRequest): Promise<Calls['open']['reply']> {
    this.#request = request;
    const name = `gossipstore/${request.name}`;
    this.#mailbox = new Mailbox(
      name,
      this.#tab,
      (message) => this.#hear(message),
      (message) => this.#receive(message),
    );
    this.#leadership = new Leadership(name, this.#tab, {
      known: () => this.#ping(),
      refused: ({ name, message }) => {
        if (this.#role.is === 'over') return;
        const failure: Failure = {
          code: 'StorageRefused',
          message: `there are no Web Locks here: ${name}: ${message}`,
        };
        void this.#keepInMemory(request, failure);
      },
      gained: (takesOver) => void this.#lead(takesOver),
      lost: () => {
        this.#superseded();
        if (this.#role.is !== 'over') this.#leadership?.stand();
      },
    });
    const opened = new Promise<Calls['open']['reply']>((resolve, reject) => {
      this.#opening = { resolve, reject };
    });
    this.#pinging = setInterval(() => this.#ping(), PING_INTERVAL_MS);
    globalThis.document?.addEventListener('visibilitychange', this.#visibilityChanged);
    globalThis.document?.addEventListener('freeze', this.#freezing);
    this.#seek();
    return opened;
  }

  // ── Looking for a leader ──

  #seek(): void {
    this.#role = { is: 'seeking' };
    this.#heard();
    this.#leadership?.stand();
    this.#leadership?.look();
    this.#mailbox?.announce({ say: 'seeking' });
  }

  #heard(): void {
    this.#heardAt = performance.now();
    this.#pings = 0;
  }

  #isSilent(): boolean {
    return this.#pings >= SILENT_PINGS && performance.now() - this.#heardAt >= SILENCE_MS;
  }

  #ping(): void {
    const role = this.#role;
    this.#mindService();
    if (!this.#leadership?.isKnown) return;
    if (role.is === 'seeking') {
      this.#mailbox?.announce({ say: 'seeking' });
    } else if (role.is === 'following') {
      if (role.dialogue) this.#report(role, role.dialogue);
      else this.#join(role);
    } else {
      return;
    }
    this.#pings += 1;
    if (!this.#isSilent() || this.#isSeizing) return;
    this.#isSeizing = true;
    const leader = role.is === 'following' ? role.leader : undefined;
    const isSilent = () => this.#role === role && this.#isSilent();
    const seized = this.#leadership?.seize(leader, isSilent).catch(() => {});
    seized?.then(() => {
      this.#isSeizing = false;
      if (this.#role !== role) return;
      // If another was quicker, that one has its time to say so: again, as the first time may be lost.
      this.#heard();
      this.#mailbox?.announce({ say: 'seeking' });
    });
  }

  /** Tells people when there is no store to ask for long. */
  #mindService(): void {
    const [role, status] = [this.#role, this.#status];
    const isServed =
      role.is === 'alone' || (role.is === 'leading' && role.server) || (role.is === 'following' && role.dialogue);
    this.#unserved = isServed ? 0 : this.#unserved + 1;
    if (this.#unserved === UNSERVED_PINGS && status) {
      this.#emit({ event: 'status', status: { ...status, storage: { ...status.storage, problem: UNSERVED } } });
    }
  }

  /** Something that all tabs were told. */
  #hear(message: Announcement): void {
    const role = this.#role;
    this.#hasCompany = true;
    if (message.say === 'seeking') {
      if (role.is === 'leading' && !role.server?.isClosing) this.#announce(role);
      return;
    }
    const { leader, term, version, ready } = message;
    if (role.is !== 'seeking' && role.is !== 'following') return;
    if (version !== TABS_VERSION) {
      const whose = version > TABS_VERSION ? 'this one' : 'that one';
      const remedy = `reload ${whose}, so that all use the newer`;
      this.#end({
        code: 'OtherVersion',
        message: `another tab has the store open with another version of the package; ${remedy}`,
      });
      return;
    }
    const known = role.is === 'following' && role.term === term;
    if (known) {
      if (ready || performance.now() - role.since < OPENING_PATIENCE_MS) this.#heard();
    } else if (role.is === 'following') {
      this.#outbox.sendAgain(lost);
    }
    const next: Following = known
      ? role
      : { is: 'following', leader, term, visit: randomNumber(), since: performance.now() };
    if (!known) {
      this.#role = next;
      this.#heard();
      this.#leadership?.stand();
    }
    if (ready && !next.dialogue) this.#join(next);
  }

  // ── Following ──

  #join({ leader, term, visit }: Following): void {
    // Asked again when it is.
    if (!this.#leadership?.isKnown) return;
    const [tab, watched, visible] = [this.#tab, this.#watched, isVisible()];
    this.#mailbox?.send(leader, { say: 'join', tab, term, visit, watched, visible });
  }

  #report({ leader, term }: Following, dialogue: Dialogue<FollowerSays>): void {
    this.#mailbox?.send(leader, { say: 'ping', tab: this.#tab, term, visible: isVisible(), ...dialogue.standing() });
  }

  /** Something that only this tab was told. */
  #receive(message: ToLeader | ToFollower): void {
    const role = this.#role;
    if ('tab' in message) {
      if (role.is !== 'leading') return;
      // While it opens the store, which may take a while, it is not to be taken for one that does not move.
      if (role.server) role.server.hear(message);
      else this.#announce(role);
      return;
    }
    if (role.is !== 'following' || message.term !== role.term) return;
    this.#heard();
    if ('number' in message) {
      if (!role.dialogue?.hear(message)) return;
      if (message.number % HEARD_TOLD_EVERY === 0) this.#report(role, role.dialogue);
    }
    switch (message.say) {
      case 'joined':
        if (!role.dialogue && message.visit === role.visit) this.#joined(role, message.opened);
        break;
      case 'reply':
        this.#outbox.replied(message.id, message.reply);
        break;
      case 'failure':
        this.#outbox.failed(message.id, message.failure);
        break;
      case 'event':
        this.#emit(message.event);
        break;
      case 'pong':
        role.dialogue?.learn(message);
        break;
      case 'yours':
        this.#role = { is: 'seeking' };
        this.#outbox.sendAgain(lost);
        this.#goesOnFrom = message.goesOnFrom;
        // Who offers a store that it has no more is not answered; another has it.
        this.#leadership?.succeed(role.leader).catch(() => {});
        break;
    }
  }

  #joined(role: Following, opened: Calls['open']['reply']): void {
    const { name, store = opened.store } = this.#request ?? {};
    if (store !== opened.store) {
      const remedy = 'give this one another name';
      const message = `a store named \`${name}\` is open in another tab, and it is not the one that is to be joined; ${remedy}`;
      this.#end({ code: 'OtherStore', message });
      return;
    }
    const { leader, term } = role;
    const tab = this.#tab;
    const dialogue = new Dialogue<FollowerSays>((said) => this.#mailbox?.send(leader, { ...said, tab, term }));
    role.dialogue = dialogue;
    this.#prepare();
    this.#settle(opened);
    // It may have changed since this tab asked to join.
    dialogue.say({ say: 'watch', prefixes: this.#watched });
    this.#sayPresent();
    this.#outbox.route({ named: () => true, send: (call) => dialogue.say({ say: 'ask', ...call }) });
  }

  /** Without the network later on, the engine could not be had any more. */
  #prepare(): void {
    this.#preparing ??= setTimeout(() => {
      // What is wrong is told when it is needed.
      loadEngine().catch(() => {});
    }, PREPARE_AFTER_MS);
  }

  // ── Leading ──

  async #lead(takesOver: boolean): Promise<void> {
    const request = this.#request;
    if (!request || this.#role.is === 'over') return;
    this.#outbox.sendAgain(lost);
    const role: Leading = { is: 'leading', term: randomNumber(), host: this.#newHost() };
    this.#role = role;
    this.#announce(role);
    try {
      // Once: whoever opens it after this one begins anew.
      const goesOnFrom = this.#goesOnFrom;
      this.#goesOnFrom = undefined;
      await role.host.call({ ...request, call: 'open', takesOver, goesOnFrom });
    } catch (error) {
      if (this.#role !== role) return;
      const failure = error as Failure;
      if (failure.code === 'StorageRefused') {
        await this.#keepInMemory(request, failure);
        return;
      }
      const isMisread = await this.#isMisread(failure);
      if (this.#role !== role) return;
      if (isMisread) this.#superseded();
      else this.#end(failure);
      return;
    }
    if (this.#role !== role) {
      role.host.supersede();
      return;
    }
    const { host, term } = role;
    host.recall(this.#presences, this.#home);
    host.subscribe((event) => {
      if (event.event === 'error' && isFinal(event.failure)) void this.#broken(role, event);
      else if (this.#role === role) this.#emit(event);
    });
    const guestsChanged = (guests: number) => {
      this.#hasCompany = guests > 0;
      this.#minded();
    };
    if (!this.#mailbox || !this.#leadership) return;
    const server = new TabServer(host, this.#mailbox, this.#leadership, term, this.#watched, guestsChanged);
    role.server = server;
    this.#sayPresent();
    this.#settle(host.opened());
    this.#announce(role);
    this.#minded();
    this.#outbox.route({ named: () => this.#hasCompany, send: (call) => this.#hand(host, call) });
    setTimeout(() => {
      if (this.#role === role) this.#hasCompany = server.size > 0;
    }, COMPANY_PATIENCE_MS);
  }

  /** A call of this tab, to the host in this tab. */
  #hand(host: LocalHost, { id, request }: Outgoing): void {
    host.call(request).then(
      (reply) => this.#outbox.replied(id, reply),
      (failure: Failure) => {
        if (failure.code === 'Superseded') this.#superseded();
        // Left to the next leader, or failed, when this tab's part in it is over.
        else if (failure.code !== 'Closed') this.#outbox.failed(id, failure);
      },
    );
  }

  #announce({ term, server }: Leading): void {
    const ready = server !== undefined;
    this.#mailbox?.announce({ say: 'leading', version: TABS_VERSION, leader: this.#tab, term, ready });
  }

  /** Another tab has taken the store. What peers may have been told of already cannot be asked for again. */
  #superseded(): void {
    const role = this.#role;
    if (role.is !== 'leading') return;
    this.#role = { is: 'seeking' };
    role.host.supersede();
    role.server?.end();
    this.#outbox.sendAgain(lost);
    // If it is here still, it is of no use here: whoever has the store holds it next.
    this.#leadership?.resign();
    this.#seek();
  }

  /** Whether something does not fit together because another tab has taken the store and written while this one read. */
  async #isMisread({ code }: Failure): Promise<boolean> {
    return code === 'StorageUnreadable' && (await this.#leadership?.isTaken()) === true;
  }

  /** The engine has stopped: this tab is of no use any more, but another may be. */
  async #broken(role: Leading, event: Extract<HostEvent, { event: 'error' }>): Promise<void> {
    if (this.#role !== role) return;
    if (event.failure.code === 'StorageUnreadable') {
      // Nobody is told or answered until it is known whether it is so: what waits goes on elsewhere if it is not.
      role.server?.end();
      this.#outbox.sendAgain(event.failure);
      const isMisread = await this.#isMisread(event.failure);
      if (this.#role !== role) return;
      if (isMisread) {
        this.#superseded();
        return;
      }
    }
    this.#emit(event);
    this.#end(event.failure, true);
  }

  /** Closes the store and lets another tab have it. */
  async #handOver(to: TabId): Promise<void> {
    const role = this.#role;
    if (role.is !== 'leading' || !role.server) return;
    const { host, server } = role;
    this.#outbox.route(undefined);
    server.close();
    const goesOnFrom = await host.call({ call: 'close' }).catch(() => undefined);
    if (this.#role !== role) return;
    server.offer(to, goesOnFrom);
    server.end();
    this.#outbox.sendAgain(lost);
    this.#role = { is: 'seeking' };
    this.#heard();
    // Taken by then, as a rule; if not, the next in the line gets it.
    setTimeout(() => {
      if (this.#role.is === 'seeking' || this.#role.is === 'following') {
        this.#leadership?.resign();
        this.#leadership?.stand();
      }
    }, OFFER_PATIENCE_MS);
  }

  /** Sees whether this tab, which leads, should hand the store to one that somebody sees. */
  #minded(): void {
    clearTimeout(this.#hiddenTimer);
    this.#hiddenTimer = undefined;
    if (isVisible() || this.#role.is !== 'leading') return;
    this.#hiddenTimer = setTimeout(() => {
      const role = this.#role;
      if (isVisible() || role.is !== 'leading') return;
      const to = role.server?.visibleGuest(performance.now() - 2 * PING_INTERVAL_MS - SILENCE_MS);
      if (to === undefined) this.#minded();
      else void this.#handOver(to);
    }, HIDDEN_PATIENCE_MS);
  }

  readonly #visibilityChanged = (): void => this.#minded();

  /** The browser is about to stop this tab: others need not find out by waiting. */
  readonly #freezing = (): void => {
    const role = this.#role;
    if (role.is !== 'leading' || !role.server || role.server.size === 0) return;
    this.#superseded();
  };

  // ── Without the others ──

  async #keepInMemory(request: OpenRequest, { message }: Failure): Promise<void> {
    this.#leave();
    const host = this.#newHost();
    this.#role = { is: 'alone', host };
    try {
      host.subscribe((event) => this.#emit(event));
      const opened = await host.call({ ...request, call: 'open', storage: 'memory', problem: message });
      this.#settle(opened);
      await host.call({ call: 'watch', prefixes: this.#watched });
      this.#sayPresent();
      this.#outbox.route({ named: () => false, send: (call) => this.#hand(host, call) });
    } catch (error) {
      this.#end(error as Failure);
    }
  }

  // ── All roles ──

  #watch(prefixes: readonly string[]): void {
    this.#watched = prefixes;
    const role = this.#role;
    if (role.is === 'leading') role.server?.watch(prefixes);
    else if (role.is === 'alone') role.host.call({ call: 'watch', prefixes }).catch(() => {});
    else if (role.is === 'following') role.dialogue?.say({ say: 'watch', prefixes });
  }

  #sayPresent(): void {
    const [role, present] = [this.#role, this.#present];
    if (!present) return;
    const { id, value } = present;
    if (role.is === 'following') role.dialogue?.say({ say: 'present', id, value });
    // It fails only when the engine is gone, and then everybody is told of that.
    else if ('host' in role) role.host.call({ call: 'present', id, value }).catch(() => {});
  }

  /** There is a store: tells whoever has waited for it, or what is different about it now. */
  #settle(opened: Calls['open']['reply']): void {
    const status = this.#own(opened.status);
    const opening = this.#opening;
    this.#opening = undefined;
    this.#unserved = 0;
    this.#status = status;
    const present = opened.presences.map(([id]) => id);
    keepPresent(this.#presences, present, opened.presences);
    if (opening) {
      opening.resolve({ ...opened, status });
      return;
    }
    this.#emit({ event: 'size', size: opened.size });
    this.#emit({ event: 'status', status });
    this.#emit({ event: 'presence', present, changed: opened.presences });
  }

  #own(status: Status): Status {
    // Whoever leads later has not seen it.
    this.#lost ??= status.storage.lost;
    const own = this.#lost === undefined ? status : { ...status, storage: { ...status.storage, lost: this.#lost } };
    return this.#role.is === 'following' ? { ...own, role: 'follower' } : own;
  }

  #emit(event: HostEvent): void {
    let told = event;
    if (event.event === 'status') {
      this.#status = this.#own(event.status);
      told = { event: 'status', status: this.#status };
    }
    if (event.event === 'presence') {
      this.#home = event.home ?? this.#home;
      keepPresent(this.#presences, event.present, event.changed);
    }
    for (const listener of this.#listeners) listener(told);
  }

  async #close(): Promise<undefined> {
    await this.#outbox.empty();
    const role = this.#role;
    const closed: Failure = { code: 'Closed', message: 'the store is closed; open it again' };
    if (role.is === 'over') return;
    if (role.is === 'leading' || role.is === 'alone') {
      if (role.is === 'leading') role.server?.close();
      await role.host.call({ call: 'close' }).catch(() => {});
    }
    this.#end(closed);
  }

  /** This tab has no part in it any more. */
  #end(failure: Failure, isDefect = false): void {
    const role = this.#role;
    this.#role = { is: 'over', failure };
    if (role.is === 'leading') {
      role.server?.end();
      // It may still be on its way to take the store.
      role.host.supersede();
    }
    if (role.is === 'following') {
      this.#mailbox?.send(role.leader, { say: 'leave', tab: this.#tab, term: role.term });
      const status = this.#status;
      if (status) this.#emit({ event: 'status', status: leftStatus(status, failure.message) });
    }
    this.#emit({ event: 'presence', present: [], changed: [] });
    this.#leave();
    this.#outbox.route(undefined);
    this.#outbox.failAll(failure);
    const opening = this.#opening;
    this.#opening = undefined;
    if (opening) opening.reject(failure);
    else if (failure.code !== 'Closed' && !isDefect) this.#emit({ event: 'error', failure });
  }

  #leave(): void {
    clearInterval(this.#pinging);
    clearTimeout(this.#hiddenTimer);
    clearTimeout(this.#preparing);
    globalThis.document?.removeEventListener('visibilitychange', this.#visibilityChanged);
    globalThis.document?.removeEventListener('freeze', this.#freezing);
    this.#mailbox?.close();
    this.#mailbox = undefined;
    this.#leadership?.end();
    this.#leadership = undefined;
  }
}

/** Why nothing is answered, as far as can be told. */
const UNSERVED =
  'no tab of this browser gets at what is stored; if a debugger has stopped one, let it go on, or close it';

/** For a write without a name that was under way when another tab took the store. */
const lost: Failure = {
  code: 'Superseded',
  message:
    'this tab was not answering, and another took the store over before the write was stored; peers may know of it: read, and write again',
};

/** Whether the engine has stopped with it: because of a defect, or because what is stored turned out to be damaged. */
function isFinal({ code }: Failure): boolean {
  return code === 'Internal' || code === 'StorageUnreadable';
}

function isVisible(): boolean {
  return (globalThis.document?.visibilityState ?? 'visible') === 'visible';
}

/** A number that no other tab draws, and that JavaScript holds exactly. */
function randomNumber(): number {
  const [high = 0, low = 0] = crypto.getRandomValues(new Uint32Array(2));
  return (high % 0x20_0000) * 0x1_0000_0000 + low;
}
