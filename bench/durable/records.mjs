/** How many bytes the records of all databases of the page's origin are, keys and values, indexes not included. */

/** How many records are read at a time: enough that it is quick, and few enough that megabytes of them fit in memory. */
const PAGE = 2_000;

export async function recordBytes() {
  let bytes = 0;
  for (const { name } of await indexedDB.databases()) {
    const database = await asked(indexedDB.open(name));
    for (const store of database.objectStoreNames) bytes += await storeBytes(database, store);
    database.close();
  }
  return bytes;
}

async function storeBytes(database, name) {
  let bytes = 0;
  let range;
  for (;;) {
    const store = database.transaction(name).objectStore(name);
    // With keys of its own the record is a key and the value; with a key path the key is in the value already, and stored twice too.
    const [keys, values] = await Promise.all([asked(store.getAllKeys(range, PAGE)), asked(store.getAll(range, PAGE))]);
    for (const key of keys) bytes += bytesOf(key);
    for (const value of values) bytes += bytesOf(value);
    if (keys.length < PAGE) return bytes;
    range = IDBKeyRange.lowerBound(keys.at(-1), true);
  }
}

/** Exact for bytes and text; numbers as IndexedDB's keys hold them; and any other value as the JSON that it would be. */
function bytesOf(data) {
  if (data instanceof ArrayBuffer || ArrayBuffer.isView(data)) return data.byteLength;
  if (typeof data === 'number') return 8;
  if (typeof data === 'string') return new TextEncoder().encode(data).length;
  return new TextEncoder().encode(JSON.stringify(data)).length;
}

function asked(request) {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}
