// The page's service worker: after one visit the page starts without a network. It keeps the files of its own version and
// nothing else; the list itself is the store's matter, and goes through sockets that no worker sees.
import { type About, type Ask, familyOf } from './messages.js';
import { Precache, type PrecacheList } from './precache.js';

declare const self: ServiceWorkerGlobalScope;
/** Put in by the build. */
declare const PRECACHE: PrecacheList;

const { scope } = self.registration;
const precache = new Precache(PRECACHE.version, PRECACHE.files, scope, {
  caches: self.caches,
  fetch: (request, init) => self.fetch(request, init),
});

/** Held by whoever fills or drops caches, as an old worker may tidy up while a new one is being installed. */
const CACHES_LOCK = `${familyOf(scope)}caches`;

// It does not skip waiting: who has the page open decides when it changes. A rejection leaves the old worker in place.
self.addEventListener('install', (event) => {
  event.waitUntil(self.navigator.locks.request(CACHES_LOCK, () => precache.fill()));
});

self.addEventListener('activate', (event) => {
  // Claimed, since a page that was loaded before there was a worker would else never hear of the next one taking over.
  event.waitUntil(Promise.all([self.clients.claim(), tidy()]));
});

self.addEventListener('fetch', (event) => {
  const url = precache.urlOf(event.request);
  if (url !== undefined) event.respondWith(precache.answer(url, event.request));
});

self.addEventListener('message', (event) => {
  const { ask } = event.data as Ask;
  switch (ask) {
    case 'about': {
      const [port] = event.ports;
      const about = async (): Promise<About> => ({ version: precache.version, complete: await precache.isComplete() });
      event.waitUntil(about().then((answer) => port?.postMessage(answer)));
      break;
    }
    case 'take over':
      event.waitUntil(self.skipWaiting());
      break;
    case 'tidy':
      event.waitUntil(tidy());
      break;
  }
});

/** Drops the caches of versions that no page is of. */
async function tidy(): Promise<void> {
  // Another worker that holds the lock is filling a cache: there will be another occasion.
  await self.navigator.locks.request(CACHES_LOCK, { ifAvailable: true }, async (lock) => {
    const { installing, waiting } = self.registration;
    if (lock === null || installing !== null || waiting !== null) return;
    const windows = await self.clients.matchAll({ type: 'window', includeUncontrolled: true });
    const { held = [] } = await self.navigator.locks.query();
    const inUse = held.map(({ name = '' }) => name).filter((name) => name.startsWith(familyOf(scope)));
    const pages = windows.filter(({ url }) => url.startsWith(scope)).length;
    // A page without a lock is only just loading, of whatever version. The one lock more is this function's own.
    if (inUse.length - 1 < pages) return;
    await precache.tidy(new Set(inUse));
  });
}
