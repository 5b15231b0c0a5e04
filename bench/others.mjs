/**
 * Yjs and Loro given the workload of the engine's figures, which `core/benches/figures/together.rs` has written to a folder:
 * `node bench/others.mjs sessions <folder>` and `node bench/others.mjs together yjs|loro <folder>`. Prints JSON.
 *
 * Each exchanges in the way its makers advise, both directions at once: version vectors first, then what the other lacks, in the
 * smaller of its encodings. Where a vector says that the other lacks nothing, nothing is sent. Whatever would carry the messages
 * adds to them; that is not counted here, as it is for the engine.
 */

import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { LoroDoc, VersionVector } from 'loro-crdt';
import * as Y from 'yjs';
import { isMain } from '../scripts/console.mjs';
import { median } from './measure.mjs';

/** The engine fills its stores by a hundred writes a transaction. */
const FILL_WRITES = 100;
/** How often stores are joined that were written without knowing of each other; the median counts. */
const ROUNDS = 3;
/** No further round is begun after so long. */
const ROUNDS_MS = 20_000;
/** Ids as long as those that are drawn at random. */
const IDS = [0x9e3779b9, 0xbf58476d];

/**
 * How each is made, written, and asked for what another lacks. `updates` gives one number of bytes for each encoding, and the
 * update itself in the last; `undefined` when nothing is lacking.
 */
const STORES = {
  yjs: {
    make(id) {
      const doc = new Y.Doc();
      doc.clientID = id;
      return doc;
    },
    write(doc, rows) {
      const map = doc.getMap('store');
      doc.transact(() => {
        for (const [key, value] of rows) value === null ? map.delete(key) : map.set(key, value);
      });
    },
    vector: (doc) => Y.encodeStateVector(doc),
    // A vector says nothing of what was deleted, so an update is always sent.
    updates: (doc, vector) => [Y.encodeStateAsUpdateV2(doc, vector), Y.encodeStateAsUpdate(doc, vector)],
    apply: (doc, update) => Y.applyUpdate(doc, update),
    read: (doc) => doc.getMap('store').toJSON(),
  },
  loro: {
    make(id) {
      const doc = new LoroDoc();
      doc.setPeerId(BigInt(id) << 32n);
      return doc;
    },
    write(doc, rows) {
      const map = doc.getMap('store');
      for (const [key, value] of rows) value === null ? map.delete(key) : map.set(key, value);
      doc.commit();
    },
    vector: (doc) => doc.oplogVersion().encode(),
    updates(doc, vector) {
      const from = VersionVector.decode(vector);
      const order = doc.oplogVersion().compare(from);
      // Without an order, each has what the other lacks.
      return order === undefined || order > 0 ? [doc.export({ mode: 'update', from })] : [];
    },
    apply: (doc, update) => doc.import(update),
    read: (doc) => doc.getMap('store').toJSON(),
  },
};

/** Sends each what it lacks; gives the bytes that crossed. */
function exchange(store, a, b) {
  const [ofA, ofB] = [a, b].map((doc) => store.vector(doc));
  const [toB, toA] = [store.updates(a, ofB), store.updates(b, ofA)];
  for (const [doc, updates] of [
    [b, toB],
    [a, toA],
  ]) {
    if (updates.length > 0) store.apply(doc, updates.at(-1));
  }
  const encodings = Math.max(toA.length, toB.length);
  const bytes = Array.from({ length: encodings }, (_, at) => (toA[at]?.length ?? 0) + (toB[at]?.length ?? 0));
  return ofA.length + ofB.length + (encodings > 0 ? Math.min(...bytes) : 0);
}

function fill(store, doc, rows) {
  for (let at = 0; at < rows.length; at += FILL_WRITES) store.write(doc, rows.slice(at, at + FILL_WRITES));
}

/** What one exchange costs after changes at one of two equal stores, each change a transaction. */
function session(store, filled, changes) {
  const [a, b] = IDS.map((id) => store.make(id));
  fill(store, a, filled);
  exchange(store, a, b);
  for (const change of changes) store.write(a, [change]);
  const { bytes, millis } = timed(() => exchange(store, a, b));
  expectEqual(store, a, b);
  return { bytes, millis };
}

/** How long two stores take to join that were filled without knowing of each other. */
function together(store, first, second) {
  const rounds = [];
  const begun = performance.now();
  while (rounds.length === 0 || (rounds.length < ROUNDS && performance.now() - begun < ROUNDS_MS)) {
    const [a, b] = IDS.map((id) => store.make(id));
    fill(store, a, first);
    fill(store, b, second);
    rounds.push(timed(() => exchange(store, a, b)));
    expectEqual(store, a, b);
  }
  return { bytes: rounds[0].bytes, millis: median(rounds.map(({ millis }) => millis)) };
}

/** With the processor's time, the collector's and the compiler's included, as `measure.mjs` has it. */
function timed(exchange) {
  const start = process.cpuUsage();
  const bytes = exchange();
  const { user, system } = process.cpuUsage(start);
  return { bytes, millis: (user + system) / 1_000 };
}

function expectEqual(store, a, b) {
  const [left, right] = [a, b].map((doc) => Object.entries(store.read(doc)).sort(([k], [l]) => (k < l ? -1 : 1)));
  const same = ([key, value], at) => right[at][0] === key && Buffer.compare(value, right[at][1]) === 0;
  if (left.length !== right.length || !left.every(same)) throw new Error('the exchange has not brought all');
}

function read(folder, name) {
  const rows = JSON.parse(readFileSync(join(folder, name), 'utf8'));
  return rows.map(([key, hex]) => [key, hex === null ? null : Uint8Array.from(Buffer.from(hex, 'hex'))]);
}

function versions() {
  const require = createRequire(import.meta.url);
  const version = (name) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`), 'utf8')).version;
  return { yjs: version('yjs'), loro: version('loro-crdt') };
}

if (isMain(import.meta.url)) {
  const [what, ...rest] = process.argv.slice(2);
  let figures;
  if (what === 'sessions') {
    const [folder] = rest;
    const rows = [];
    for (const keys of [10_000, 100_000]) {
      const filled = read(folder, `fill-${keys}.json`);
      for (const changes of [10, 100, 1_000, 10_000]) {
        const changed = read(folder, `changes-${keys}-${changes}.json`);
        for (const [name, store] of Object.entries(STORES)) {
          rows.push({ store: name, keys, changes, ...session(store, filled, changed) });
        }
      }
    }
    figures = { versions: versions(), rows };
  } else {
    const [name, folder] = rest;
    figures = together(STORES[name], read(folder, 'fill-100000.json'), read(folder, 'again-100000.json'));
  }
  console.log(JSON.stringify(figures));
}
