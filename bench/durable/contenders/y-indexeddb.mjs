/** A map of a Yjs document that y-indexeddb keeps. It asks for no durability, which Chromium takes as relaxed. */

import { IndexeddbPersistence } from 'y-indexeddb';
import * as Y from 'yjs';

let doc;
let map;
/** Settles with the transaction that was begun last. */
let flushed;

export async function open() {
  doc = new Y.Doc();
  map = doc.getMap('values');
  const persistence = new IndexeddbPersistence('bench', doc);
  await persistence.whenSynced;
  watch(persistence.db);
}

/**
 * y-indexeddb does not say when it has written. It begins its transaction while the document tells of the change, before `set`
 * returns, so the last that was begun is the change's own, and the change is written when that completes. To listen costs it nothing,
 * where a transaction of ours that waits its turn behind its own would be one more round trip.
 */
function watch(database) {
  const begin = database.transaction.bind(database);
  database.transaction = (...args) => {
    const transaction = begin(...args);
    flushed = new Promise((resolve, reject) => {
      transaction.addEventListener('complete', () => resolve());
      transaction.addEventListener('abort', () => reject(transaction.error));
    });
    return transaction;
  };
}

export const get = async (key) => map.get(key);

export function set(key, value) {
  map.set(key, value);
  return flushed;
}

export function setAll(entries) {
  doc.transact(() => {
    for (const [key, value] of entries) map.set(key, value);
  });
  return flushed;
}
