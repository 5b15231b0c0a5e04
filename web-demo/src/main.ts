// Wires the page to the store: what a person does becomes a call, what the store tells becomes a change on the screen. Nothing
// here waits for the network; a list works the same without one.
import { GossipStore, GossipStoreError, type Status } from '@gossipstore/core';
import { Arrival } from './arrival.js';
import { byId, element, setText } from './dom.js';
import { keepDraft } from './draft.js';
import { Drawing } from './drawing.js';
import { cleanText, type Item, newKey, PREFIX, parseItem } from './item.js';
import { formatInvitation, formatList, OWN_LIST, parseLink } from './link.js';
import { List } from './list.js';
import { details, type Progress, showBadge } from './network.js';
import { describeOffline, holdVersion, keepOffline, type Offline, pageVersion } from './offline.js';
import { openList } from './opening.js';
import { People } from './people.js';
import { showError, showInfo } from './toast.js';
import { Update } from './update.js';

declare global {
  interface Window {
    /** For the curious, in the browser's console: `await gossipstore.store.getSiblings(key)`. The tests use it too. */
    gossipstore?: { store: GossipStore; GossipStore: typeof GossipStore };
  }
}

holdVersion();

const input = byId('new-text', HTMLInputElement);

/** How many calls that a person's doing led to are not answered yet. */
let unanswered = 0;
let opened: GossipStore | undefined;
let offline: Offline = { state: 'preparing' };
/** Shows the offline state anew, where it is shown. */
let showOffline = () => {};

const update = new Update({
  offer() {
    const notice = byId('update', HTMLElement);
    if (notice.childElementCount > 0) return;
    const button = element('button', { type: 'button', class: 'toast-action' }, 'Reload');
    button.addEventListener('click', () => update.accept());
    notice.append(element('div', { class: 'toast' }, element('span', {}, 'A new version is ready'), button));
  },
  isSaving: () => unanswered > 0 || (opened?.status.pending ?? 0) > 0,
  reload: () => location.reload(),
});

function showNotice(text: string, problem = false): void {
  const notice = byId('notice', HTMLElement);
  notice.hidden = false;
  notice.classList.toggle('problem', problem);
  setText(notice, text);
}

/** Promises nothing that a list without relays cannot keep. */
function showAlone(problem: string | undefined): void {
  setText(byId('empty-text', HTMLElement), 'Add the first entry above. It stays on this device.');
  const why =
    problem ??
    'This list is on this device only, since the page was opened without a relay. Open a shared link to meet others.';
  showNotice(why, problem !== undefined);
}

function run(store: GossipStore): void {
  opened = store;
  window.gossipstore = { store, GossipStore };
  /** Does what a person asked for, and tells them when it failed. */
  const attempt = async (what: string, action: () => Promise<unknown>): Promise<boolean> => {
    unanswered += 1;
    try {
      await action();
      return true;
    } catch (error) {
      showError(what, error);
      return false;
    } finally {
      unanswered -= 1;
      update.saved();
    }
  };

  // ── The list ──

  const list = new List(
    byId('list', HTMLElement),
    {
      siblings: (key) => store.getSiblings(key),
      save: async (key, item, context) => {
        const saved = await attempt('Not saved', () => store.set(key, item, context === undefined ? {} : { context }));
        // What cannot be read either, as from a store that was closed, stays as the row last knew it.
        if (!saved) await refresh(key, false).catch(() => {});
        return saved;
      },
      keepAll: async (key) => {
        await attempt('Not saved', () =>
          store.transaction(async (tx) => {
            // Asked for together, so of one moment: what the transaction has read, and will supersede, is what is kept.
            const [siblings] = await Promise.all([store.getSiblings(key), tx.get(key)]);
            const items = siblings.values.map(({ value }) => parseItem(value)).filter((item) => item !== undefined);
            for (const [at, item] of items.entries()) tx.set(at === 0 ? key : newKey(), item);
          }),
        );
      },
      remove: async (key, item) => {
        if (!(await attempt('Not deleted', () => store.delete(key)))) return;
        showInfo(`Deleted “${item.text}”`, {
          label: 'Undo',
          run: () => void attempt('Not restored', () => store.set(key, item)),
        });
      },
      editing: (key) => people.edits(key),
    },
    input,
    countSoon,
  );

  const people = new People(
    store.presence,
    byId('people', HTMLElement),
    byId('own-name', HTMLInputElement),
    (editors) => list.showEditors(editors),
  );

  /** Keys whose value is not an entry: another program's, or a newer version's. They are counted, not hidden. */
  const unreadable = new Set<string>();

  /** Shows what the store holds under `key` now, however many changes led there. */
  async function refresh(key: string, remote: boolean): Promise<void> {
    const { values } = await store.getSiblings(key);
    const item = values.map(({ value }) => parseItem(value)).find((readable) => readable !== undefined);
    if (item === undefined) {
      list.remove(key);
      if (values.length > 0) unreadable.add(key);
      else unreadable.delete(key);
      countSoon();
    } else {
      unreadable.delete(key);
      list.put(key, item, { conflict: values.length > 1, remote });
    }
  }

  let counting = false;
  /** Counts once for a whole slice of changes. */
  function countSoon(): void {
    if (counting) return;
    counting = true;
    setTimeout(() => {
      counting = false;
      const { total, open, conflicts } = list.counts();
      const parts = total === 0 ? [] : [`${open} of ${total} open`];
      if (conflicts > 0) parts.push(`${conflicts} in conflict`);
      setText(byId('count', HTMLElement), parts.join(' · '));
      byId('empty', HTMLElement).hidden = total > 0 || drawing.waiting > 0;
      byId('remove-ticked', HTMLElement).hidden = list.ticked().length === 0;
      const note = byId('unreadable', HTMLElement);
      note.hidden = unreadable.size === 0;
      const entries = unreadable.size === 1 ? '1 entry is' : `${unreadable.size} entries are`;
      setText(note, `${entries} not shown: written by another program or a newer version.`);
    }, 0);
  }

  // ── What arrives ──

  const bar = byId('arrival', HTMLProgressElement);
  const arrival = new Arrival(
    () => ({ done: list.size, expected: list.size + drawing.waiting }),
    (fraction) => {
      bar.hidden = fraction === undefined;
      bar.value = fraction ?? 0;
    },
  );

  const drawing = new Drawing(
    ({ key, remote }) => refresh(key, remote).catch(closedIsFine),
    () => arrival.drawing(),
  );

  /** Follows the store until it is closed. */
  async function follow(): Promise<void> {
    const changes = store.changes({ prefix: PREFIX });
    // Following begins before the first read, so that no change falls between the two. When the store fails, both do.
    await Promise.all([
      drawing.take(changes, ({ key, origin }) => ({ key, remote: origin === 'remote' })),
      drawing.take(store.keys({ prefix: PREFIX }), (key) => ({ key, remote: false })).then(countSoon),
    ]);
  }

  byId('add', HTMLFormElement).addEventListener('submit', async () => {
    const typed = input.value;
    const text = cleanText(typed);
    if (text === '') return;
    input.value = '';
    input.focus();
    const item: Item = { text, done: false };
    const added = await attempt('Not added', () => store.set(newKey(), item));
    // Nothing typed is lost, unless the person has gone on typing.
    if (!added && input.value === '') input.value = typed;
  });

  byId('remove-ticked', HTMLButtonElement).addEventListener('click', async () => {
    const ticked = list.ticked().map((key): [string, Item | undefined] => [key, list.get(key)]);
    const removed = await attempt('Not removed', () => store.deleteMany(ticked.map(([key]) => key)));
    if (!removed) return;
    input.focus();
    const back = ticked.filter((entry): entry is [string, Item] => entry[1] !== undefined);
    showInfo(back.length === 1 ? 'Removed 1 entry' : `Removed ${back.length} entries`, {
      label: 'Undo',
      run: () => void attempt('Not restored', () => store.setMany(back)),
    });
  });

  // ── The network ──

  const badge = byId('badge', HTMLElement);
  const panel = byId('details', HTMLElement);
  const showStatus = (progress?: Progress) => {
    showBadge(badge, byId('badge-text', HTMLElement), store.status, progress);
    if (panel.matches(':popover-open')) showDetails();
  };
  const showDetails = () => {
    const lines = [describeOffline(offline), ...(pageVersion() === '' ? [] : [`Version ${pageVersion()}.`])];
    panel.replaceChildren(...details(store.status, lines));
  };
  let notKept: string | undefined;
  /** What a person writes they take to be kept: where it is not, the page says so before anything is lost. */
  const showNotKept = ({ storage: { kind, problem } }: Status) => {
    if (kind !== 'memory' || problem === undefined || problem === notKept) return;
    notKept = problem;
    showNotice(`This list is kept only as long as this tab is open: ${problem}`, true);
  };
  showNotKept(store.status);
  store.addEventListener('status', ({ status }) => {
    showStatus();
    showNotKept(status);
    arrival.status(status);
    update.saved();
  });
  store.addEventListener('progress', (progress) => {
    showStatus(progress);
    arrival.received(progress.peer, progress);
  });
  panel.addEventListener('beforetoggle', showDetails);
  showStatus();
  showOffline = () => showStatus();
  // Failed exchanges with a peer are tried again by themselves; what a person can do something about is told.
  store.addEventListener('error', ({ error }) => {
    if (error.code !== 'SessionFailed') showError('The list has a problem', error);
  });

  // ── The page ──

  // An entry that exists in this tab only is lost with it: ask before it closes.
  window.addEventListener('beforeunload', (event) => {
    const { storage, peers } = store.status;
    const elsewhere = storage.kind !== 'memory' || peers.some((peer) => peer.inSync);
    if (store.size > 0 && !elsewhere) event.preventDefault();
  });
  // Says good-bye, so that the others need not find out by waiting.
  window.addEventListener('pagehide', () => void store.close());
  // Back from the browser's cache of pages, where the store was closed.
  window.addEventListener('pageshow', (event) => {
    if (event.persisted) location.reload();
  });

  follow().catch((error) => closedIsFine(error, 'The list stopped following changes; reload the page'));
}

/** A store that was closed, as the page does when it is left, ends what reads from it. */
function closedIsFine(error: unknown, what = 'An entry could not be read'): void {
  if (error instanceof GossipStoreError && error.code === 'Closed') return;
  showError(what, error);
}

/** Offers a link that makes a member of whoever opens it. */
async function offerLink(store: GossipStore): Promise<void> {
  // Made before somebody asks: a browser lets a page copy for a moment only after a click.
  const address = new URL(formatInvitation(await store.invite()), location.href).href;
  const button = byId('share', HTMLButtonElement);
  button.addEventListener('click', async () => {
    try {
      await navigator.clipboard.writeText(address);
      showInfo(
        store.status.relays.length > 0
          ? 'Link copied. Whoever opens it shares this list.'
          : 'Link copied, but it names no relay: whoever opens it meets nobody.',
      );
    } catch {
      // No permission, or no secure page: the link can still be selected.
      const field = element('input', {
        type: 'text',
        readonly: true,
        class: 'link',
        'aria-label': 'Link to this list',
      });
      field.value = address;
      byId('notice', HTMLElement).replaceChildren('Copy this link: ', field);
      byId('notice', HTMLElement).hidden = false;
      field.select();
    }
  });
  button.disabled = false;
}

// Another link in the same tab is another list.
window.addEventListener('hashchange', () => location.reload());

function showName(name: string): void {
  const title = name === OWN_LIST ? 'My list' : name;
  setText(byId('title', HTMLElement), title);
  document.title = `${title} · GossipStore`;
}

const link = parseLink(location.hash);
if ('name' in link) showName(link.name);
// What is typed before there is a list stays where it is.
byId('add', HTMLFormElement).addEventListener('submit', (event) => event.preventDefault());

try {
  const { store, problem } = await openList(link);
  showName(store.name);
  keepDraft(store.id, input);
  // An invitation is a key: it need not stay where others look, and the list is opened by its name from now on.
  if ('invitation' in link) history.replaceState(null, '', formatList(store.name));
  if (store.status.relays.length === 0) showAlone(problem);
  run(store);
  input.focus();
  await offerLink(store);
} catch (error) {
  byId('add', HTMLFormElement).inert = true;
  setText(byId('badge-text', HTMLElement), 'Could not start');
  showNotice(`The list could not be opened: ${error instanceof Error ? error.message : error}`, true);
}

void keepOffline(update, {
  changed(now) {
    offline = now;
    showOffline();
  },
  firstReady: () => showInfo('Ready to work offline'),
});
