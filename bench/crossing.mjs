/**
 * How values cross between JavaScript and wasm: as objects with serde-wasm-bindgen, or as bytes that JavaScript encodes, and
 * then for batches as columns or packed into one buffer. `node bench/crossing.mjs` (builds `wasm/examples/crossing.rs`).
 *
 * Every way begins and ends with objects in JavaScript and has the bytes in wasm's memory between, so encoding and decoding
 * are part of what is measured. Ends with status 1 when what the package does (bytes, in columns) is not faster than objects.
 */

import { loadExample } from './example.mjs';
import { compare, importSource, printMachine, printTable } from './measure.mjs';

const BATCH = 50;
/** Calls a sample: enough that a sample takes some 10 ms. */
const CALLS = { one: 5_000, batch: 100 };

const { encodeValue, decodeValue } = await importSource('../wasm/ts/value-codec.ts');
const { Crossing } = await loadExample('crossing');
const store = new Crossing();

const value = {
  id: 'a81bc81b',
  text: 'Buy oat milk',
  done: false,
  qty: 2,
  tags: ['food', 'weekly'],
  at: 1_732_467_712,
};
const keys = Array.from({ length: BATCH }, (_, n) => `todo/2024-11-24/${String(n).padStart(6, '0')}`);
const [key] = keys;

const ways = {
  'set one': {
    objects: () => store.set_object(key, value),
    bytes: () => store.set_bytes(key, encodeValue(value)),
  },
  'get one': {
    objects: () => store.get_object(key),
    bytes: () => decodeValue(store.get_bytes(key)),
  },
  [`set ${BATCH}`]: {
    objects: () => store.set_objects(keys.map((key) => ({ key, value }))),
    columns: () => store.set_columns(keys, keys.map(() => encodeValue(value))), // biome-ignore format: one line a way
    packed: () => store.set_packed(pack(keys, keys.map(() => encodeValue(value)))), // biome-ignore format: one line a way
  },
  [`scan ${BATCH}`]: {
    objects: () => store.scan_objects(key, BATCH).map(({ key, value }) => [key, value]),
    columns: () => {
      const [found, values] = store.scan_columns(key, BATCH);
      return found.map((key, at) => [key, decodeValue(values[at])]);
    },
    packed: () => unpack(store.scan_packed(key, BATCH)).map(([key, bytes]) => [key, decodeValue(bytes)]),
  },
};

printMachine('node bench/crossing.mjs');
console.log('median microseconds a call, encoding and decoding included');
const rows = [['', 'objects', 'bytes', 'packed', 'objects / bytes']];
let short = 0;
for (const [call, contenders] of Object.entries(ways)) {
  // A scan reads what was written the same way.
  const objects = contenders.objects;
  const [[, ours], packed] = Object.entries(contenders).slice(1);
  const count = 'bytes' in contenders ? CALLS.one : CALLS.batch;
  const prepared = { objects: 'set_objects', ours: 'set_columns', packed: 'set_columns' };
  const sample = (name, once) => {
    const repeat = () => {
      for (let n = 0; n < count; n++) once();
      return count;
    };
    return Object.assign(repeat, { prepare: () => fill(prepared[name]) });
  };
  const sides = { objects: sample('objects', objects), ours: sample('ours', ours) };
  if (packed) sides.packed = sample('packed', packed[1]);
  const medians = compare(sides);
  if (medians.ours >= medians.objects) short++;
  const microseconds = (nanoseconds) => (nanoseconds === undefined ? '' : (nanoseconds / 1_000).toFixed(2));
  rows.push([
    call,
    microseconds(medians.objects),
    microseconds(medians.ours),
    microseconds(medians.packed),
    `${(medians.objects / medians.ours).toFixed(1)}x`,
  ]);
}
printTable(rows);
if (short > 0) {
  console.error(`${short} row(s) in which objects are as fast`);
  process.exitCode = 1;
}

/** Objects are kept as JSON, bytes as what the codec made: each way reads what it can read. */
function fill(way) {
  if (way === 'set_objects') store.set_objects(keys.map((key) => ({ key, value })));
  else store.set_columns(keys, keys.map(() => encodeValue(value))); // biome-ignore format: as above
}

function pack(keys, values) {
  const encoder = new TextEncoder();
  const longest = keys.reduce((sum, key, at) => sum + key.length * 3 + 8 + values[at].length, 0);
  const buffer = new Uint8Array(longest);
  const view = new DataView(buffer.buffer);
  let end = 0;
  for (const [at, key] of keys.entries()) {
    const { written } = encoder.encodeInto(key, buffer.subarray(end + 4));
    view.setUint32(end, written, true);
    end += 4 + written;
    view.setUint32(end, values[at].length, true);
    buffer.set(values[at], end + 4);
    end += 4 + values[at].length;
  }
  return buffer.subarray(0, end);
}

function unpack(buffer) {
  const decoder = new TextDecoder();
  const view = new DataView(buffer.buffer);
  let at = 0;
  const take = () => {
    const length = view.getUint32(at, true);
    const bytes = buffer.subarray(at + 4, at + 4 + length);
    at += 4 + length;
    return bytes;
  };
  const items = [];
  while (at < buffer.length) items.push([decoder.decode(take()), take()]);
  return items;
}
