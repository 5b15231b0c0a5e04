/**
 * `encodeValue` and `decodeValue` beside JSON (with `TextEncoder` and `TextDecoder`, since the store wants bytes) and npm
 * `cbor-x`, in one run: `npm run codec --workspace @gossipstore/bench`.
 *
 * JSON and cbor-x do less: neither sorts keys, looks for cycles and things that cannot be stored, or refuses bytes that are not
 * canonical; JSON has no bytes, dates or bigints at all. Where cbor-x could install its native addon it reads strings with it.
 */

import { Encoder } from 'cbor-x';
import { importSource, measure, median, printMachine, printTable, ratio, seededRandom } from './measure.mjs';

/** A sample takes some milliseconds. */
const SAMPLE_BYTES = 400_000;

const { encodeValue, decodeValue } = await importSource('../wasm/ts/value-codec.ts');
const cbor = new Encoder({ useRecords: false, mapsAsObjects: true, int64AsNumber: true });
const toUtf8 = new TextEncoder();
const fromUtf8 = new TextDecoder();
const codecs = {
  ours: { encode: encodeValue, decode: decodeValue },
  json: {
    encode: (value) => toUtf8.encode(JSON.stringify(value)),
    decode: (bytes) => JSON.parse(fromUtf8.decode(bytes)),
  },
  cborX: { encode: (value) => cbor.encode(value), decode: (bytes) => cbor.decode(bytes) },
};

const random = seededRandom(7);
const todo = (n) => ({
  id: `todo-${n}`,
  title: 'Buy oat milk',
  done: n % 2 === 0,
  qty: n % 7,
  added: 1_700_000_000_000 + n,
});
const subjects = {
  number: 42,
  'short string': 'Buy oat milk',
  'small object': todo(1),
  'nested object': {
    id: 'card-17',
    position: { x: 120.5, y: 48.25 },
    tags: ['home', 'urgent', 'shopping'],
    author: { name: 'Zoë', colour: '#ff8800' },
    text: 'The quick brown fox jumps over the lazy dog, and then it sleeps all day long under the tree.',
  },
  '100 small objects': Array.from({ length: 100 }, (_, n) => todo(n)),
  '1,000 floats': Array.from({ length: 1_000 }, () => random()),
  'ASCII text, 4 KB': 'lorem ipsum '.repeat(341),
  'other text, 4 KB': 'Zażółć gęślą jaźń — '.repeat(150),
};

printMachine('npm run codec --workspace @gossipstore/bench');
for (const direction of ['encode', 'decode']) {
  console.log(`${direction}: median nanoseconds`);
  const rows = [['', 'ours', 'JSON', 'cbor-x', 'JSON / ours', 'cbor-x / ours']];
  for (const [subject, value] of Object.entries(subjects)) {
    const repeat = Math.max(20, Math.round(SAMPLE_BYTES / (encodeValue(value).length + 20)));
    const samples = {};
    for (const [name, codec] of Object.entries(codecs)) {
      const input = direction === 'encode' ? value : codec.encode(value);
      const run = codec[direction];
      samples[name] = () => {
        for (let i = 0; i < repeat; i++) run(input);
        return repeat;
      };
    }
    const { ours, json, cborX } = measure(samples);
    rows.push([
      subject,
      ...[ours, json, cborX].map((times) => Math.round(median(times)).toLocaleString('en')),
      `${ratio(json, ours).toFixed(2)}x`,
      `${ratio(cborX, ours).toFixed(2)}x`,
    ]);
  }
  printTable(rows);
  console.log();
}
const sizes = [['bytes', 'ours', 'JSON', 'cbor-x']];
for (const [subject, value] of Object.entries(subjects)) {
  sizes.push([subject, ...Object.values(codecs).map(({ encode }) => encode(value).length.toLocaleString('en'))]);
}
printTable(sizes);
