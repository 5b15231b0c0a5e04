/** idb-keyval with its own database. It leaves it to the browser how durable a write is, which Chromium takes as relaxed. */

import * as keyval from 'idb-keyval';

/** It opens its database when it is first used, which is the first read. */
export async function open() {}

export const get = (key) => keyval.get(key);

export const set = (key, value) => keyval.set(key, value);

export const setAll = (entries) => keyval.setMany(entries);
