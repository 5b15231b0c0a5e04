/**
 * IndexedDB without anything around it: one object store, text as keys, objects as values. Its transactions are strict, as ours
 * are, so that a write has reached the disk when it is done.
 */

let database;

export async function open() {
  const request = indexedDB.open('bench', 1);
  request.onupgradeneeded = () => request.result.createObjectStore('entries');
  database = await new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export function get(key) {
  const request = database.transaction('entries').objectStore('entries').get(key);
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

export const set = (key, value) => setAll([[key, value]]);

export function setAll(entries) {
  const transaction = database.transaction('entries', 'readwrite', { durability: 'strict' });
  const store = transaction.objectStore('entries');
  for (const [key, value] of entries) store.put(value, key);
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}
