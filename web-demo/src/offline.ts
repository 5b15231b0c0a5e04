// The page's side of its service worker: registers it, says truthfully whether the page would start without a network, and
// tells of new versions.
import { type About, type Ask, versionName } from '../worker/messages.js';
import type { Update } from './update.js';

export type Offline =
  /** There can be no worker here, and why. */
  | { state: 'unavailable'; why: string }
  | { state: 'preparing' }
  | { state: 'ready' }
  | { state: 'failed'; why: string };

export function describeOffline(offline: Offline): string {
  switch (offline.state) {
    case 'unavailable':
      return `Needs a network to start: ${offline.why}.`;
    case 'preparing':
      return 'Being made ready to start without a network…';
    case 'ready':
      return 'Ready to work offline: it starts without a network.';
    case 'failed':
      return `Not ready to work offline: ${offline.why}.`;
  }
}

/** Beside the page, so that it is in charge of the page's folder and of nothing else. */
const WORKER = 'sw.js';
/** A list may stay open for days: whoever comes back to it is told of a new version, asked for at most this often. */
const CHECK_INTERVAL_MS = 60 * 60_000;

/** Of which version this page is; empty in a page that was not built. */
export function pageVersion(): string {
  return document.querySelector<HTMLMetaElement>('meta[name="version"]')?.content ?? '';
}

/** Why there can be no worker. */
function obstacle(): string | undefined {
  if (pageVersion() === '') return 'this is a development server';
  if (!isSecureContext) return 'browsers keep only pages that came by https';
  if (!('serviceWorker' in navigator)) return 'this browser has no service workers, or not in private windows';
  return undefined;
}

/**
 * Holds on to what this version's page is loaded from, until the page is gone. To be called before the page loads anything
 * more: until then the worker keeps everything all the same, as it sees a page that holds nothing.
 */
export function holdVersion(): void {
  if (obstacle() !== undefined) return;
  const name = versionName(document.baseURI, pageVersion());
  navigator.locks.request(name, { mode: 'shared' }, () => new Promise<never>(() => {})).catch(() => {});
}

export interface OfflineListener {
  changed(offline: Offline): void;
  /** For the first time in this browser. */
  firstReady(): void;
}

/** To be called when everything is loaded: the worker fetches it once more, and must not slow down the first visit. */
export async function keepOffline(update: Update, listener: OfflineListener): Promise<void> {
  const why = obstacle();
  if (why !== undefined) {
    listener.changed({ state: 'unavailable', why });
    return;
  }
  const workers = navigator.serviceWorker;
  /** Whether a worker has another version of the page than this one. One that came to nothing never answers. */
  const ifOther = async (worker: ServiceWorker, then: () => void) => {
    if ((await about(worker)).version !== pageVersion()) then();
  };
  workers.addEventListener('controllerchange', () => {
    if (workers.controller !== null) void ifOther(workers.controller, () => update.tookOver());
  });

  listener.changed({ state: 'preparing' });
  let registration: ServiceWorkerRegistration;
  try {
    // The script itself is never taken from the browser's own cache: an old one would hide every new version.
    registration = await workers.register(WORKER, { updateViaCache: 'none' });
  } catch (error) {
    listener.changed({ state: 'failed', why: error instanceof Error ? error.message : String(error) });
    return;
  }

  const showActive = async (active: ServiceWorker) => {
    const { complete } = await about(active);
    const lost = 'this browser has dropped a part of it';
    listener.changed(complete ? { state: 'ready' } : { state: 'failed', why: lost });
  };
  const offer = (waiting: ServiceWorker) => ifOther(waiting, () => update.waits(() => tell(waiting, 'take over')));
  const watched = new WeakSet<ServiceWorker>();
  const watch = (worker: ServiceWorker | null) => {
    if (worker === null || watched.has(worker)) return;
    watched.add(worker);
    const isFirst = registration.active === null;
    worker.addEventListener('statechange', () => {
      if (worker.state === 'installed' && !isFirst) void offer(worker);
      if (worker.state === 'activated') {
        void showActive(worker);
        if (isFirst) listener.firstReady();
      }
      if (worker.state === 'redundant' && isFirst && registration.active === null) {
        listener.changed({ state: 'failed', why: 'a part of it could not be fetched' });
      }
    });
  };
  registration.addEventListener('updatefound', () => watch(registration.installing));
  watch(registration.installing);
  if (registration.waiting !== null) void offer(registration.waiting);
  if (registration.active !== null) {
    void showActive(registration.active);
    tell(registration.active, 'tidy');
  }

  let checked = performance.now();
  const check = () => {
    if (document.hidden || performance.now() - checked < CHECK_INTERVAL_MS) return;
    checked = performance.now();
    // Without a network there is nothing new.
    registration.update().catch(() => {});
  };
  document.addEventListener('visibilitychange', check);
  window.addEventListener('online', check);
}

function tell(worker: ServiceWorker, ask: Ask['ask'], ports: MessagePort[] = []): void {
  worker.postMessage({ ask } satisfies Ask, ports);
}

function about(worker: ServiceWorker): Promise<About> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data }: MessageEvent<About>) => {
      port1.close();
      resolve(data);
    };
    tell(worker, 'about', [port2]);
  });
}
