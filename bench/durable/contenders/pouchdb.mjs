/** PouchDB with the adapter that it comes with in browsers. It asks for no durability, which Chromium takes as relaxed. */

import PouchDB from 'pouchdb-browser';

let database;

/** It opens its database when it is first used, which is the first read. */
export async function open() {
  database = new PouchDB('bench');
}

export async function get(key) {
  try {
    const { _id, _rev, ...value } = await database.get(key);
    return value;
  } catch (error) {
    if (error.status !== 404) throw error;
    return undefined;
  }
}

/** Of a key that is new: to overwrite one, its revision would have to be read first. */
export const set = (key, value) => database.put({ _id: key, ...value });

export async function setAll(entries) {
  const results = await database.bulkDocs(entries.map(([key, value]) => ({ _id: key, ...value })));
  const refused = results.find(({ ok }) => !ok);
  if (refused) throw new Error(`PouchDB has not written ${refused.id}: ${refused.message}`);
}
