/** Random values of every kind that can be stored, with the edges of each kind more often than chance would have them. */

type Random = () => number;

export interface Kinds {
  /** Only strings that UTF-8 holds. */
  wellFormed?: boolean;
  /** With `ArrayBuffer`s. */
  buffers?: boolean;
  /** With `__proto__` as a key. */
  proto?: boolean;
  /** With the byte order mark, which may stand anywhere in a text. */
  mark?: boolean;
  /** With whole numbers, and seconds of dates, beyond 32 bits. */
  wide?: boolean;
}

const NUMBERS = [
  0,
  -0,
  1,
  -1,
  23,
  24,
  255,
  256,
  65_535,
  65_536,
  -24,
  -25,
  -256,
  -257,
  2 ** 31 - 1,
  2 ** 31,
  -(2 ** 31),
  -(2 ** 31) - 1,
  2 ** 32,
  2 ** 53 - 1,
  2 ** 53,
  2 ** 53 + 2,
  -(2 ** 53),
  2 ** 60,
  0.5,
  0.1,
  65_504,
  65_504.5,
  2 ** -24,
  2 ** -25,
  2 ** -14,
  2 ** -126,
  2 ** -149,
  5e-324,
  1.7976931348623157e308,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
  Number.NaN,
];
const CHARACTERS = [
  'a',
  'b',
  'z',
  ' ',
  '"',
  '\0',
  '\x7f',
  '\x80',
  'ü',
  '\u07ff',
  '\u0800',
  '水',
  '\ue000',
  '\ufeff',
  '\uffff',
  '😀',
  '\u{10ffff}',
];
const HALVES = ['\ud800', '\udbff', '\udc00', '\udfff'];
const TYPED_ARRAYS = [
  Uint8Array,
  Uint8ClampedArray,
  Uint16Array,
  Uint32Array,
  BigUint64Array,
  Int8Array,
  Int16Array,
  Int32Array,
  BigInt64Array,
  Float32Array,
  Float64Array,
];

const below = (random: Random, limit: number) => Math.floor(random() * limit);
const pick = <T>(random: Random, from: readonly T[]) => from[below(random, from.length)] as T;
/** Most are short, some are long. */
const count = (random: Random, most: number) => below(random, random() < 0.9 ? Math.min(6, most) : most);

/** Any value that can stand by itself. */
export function randomValue(random: Random, kinds: Kinds = {}): unknown {
  const value = randomPart(random, kinds, 4);
  return value === undefined ? null : value;
}

export function randomText(random: Random, { wellFormed = false, mark = true }: Kinds = {}): string {
  const known = mark ? CHARACTERS : CHARACTERS.filter((character) => character !== '\ufeff');
  const characters = wellFormed || random() < 0.8 ? known : [...known, ...HALVES];
  const plain = random() < 0.5;
  const length = count(random, 100);
  return Array.from({ length }, () => (plain ? pick(random, ['a', 'b', 'c', 'd']) : pick(random, characters))).join('');
}

function randomPart(random: Random, kinds: Kinds, depth: number): unknown {
  switch (below(random, depth === 0 ? 9 : 13)) {
    case 0:
      return pick(random, [null, undefined, true, false]);
    case 1:
    case 2:
      return randomNumber(random, kinds);
    case 3:
    case 4:
      return randomText(random, kinds);
    case 5:
      return randomBigint(random);
    case 6:
      return new Date(
        pick(random, [
          0,
          -1,
          1_700_000_000_000,
          Number.NaN,
          kinds.wide === false ? 1 : 8.64e15,
          below(random, 4e12) - 2e12,
        ]),
      );
    case 7:
      return randomTypedArray(random);
    case 8:
      return kinds.buffers === false ? null : randomBytes(random, 40);
    case 9:
      return Array.from({ length: count(random, 30) }, () => randomPart(random, kinds, depth - 1));
    case 10:
      return randomObject(random, kinds, depth);
    case 11:
      return new Map(
        Array.from({ length: count(random, 12) }, () => [
          randomPart(random, kinds, depth - 1),
          randomPart(random, kinds, depth - 1),
        ]),
      );
    default:
      return new Set(Array.from({ length: count(random, 12) }, () => randomPart(random, kinds, depth - 1)));
  }
}

function randomObject(random: Random, kinds: Kinds, depth: number): object {
  const object = {};
  for (let keys = count(random, 30); keys > 0; keys--) {
    const key = random() < 0.1 && kinds.proto !== false ? '__proto__' : randomText(random, kinds);
    const value = randomPart(random, kinds, depth - 1);
    Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
  }
  return object;
}

function randomNumber(random: Random, { wide = true }: Kinds): number {
  const number = anyNumber(random);
  return wide || !Number.isSafeInteger(number) || Math.abs(number) < 2 ** 32 ? number : number % 2 ** 32;
}

function anyNumber(random: Random): number {
  const view = new DataView(randomBytes(random, 8, 8));
  switch (below(random, 5)) {
    case 0:
      return view.getFloat64(0);
    case 1:
      return view.getFloat32(0);
    case 2:
      return view.getInt32(0);
    case 3:
      return below(random, 1_000) - 100;
    default:
      return pick(random, NUMBERS);
  }
}

function randomBigint(random: Random): bigint {
  const digits = [...new Uint8Array(randomBytes(random, 20))]
    .map((byte) => byte.toString(16).padStart(2, '0'))
    .join('');
  const magnitude = BigInt(`0x0${digits}`);
  return random() < 0.5 ? magnitude : -magnitude;
}

function randomTypedArray(random: Random): ArrayBufferView {
  const kind = pick(random, TYPED_ARRAYS);
  return new kind(randomBytes(random, 5 * 8, kind.BYTES_PER_ELEMENT));
}

function randomBytes(random: Random, most: number, multiple = 1): ArrayBuffer {
  const length = multiple === most ? most : below(random, most / multiple) * multiple;
  return Uint8Array.from({ length }, () => below(random, 256)).buffer;
}
