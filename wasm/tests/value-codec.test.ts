/**
 * Values as bytes: golden vectors, round trips of random values, an independent reader (npm `cbor-x`), what is refused and how
 * it is named, and hostile bytes, which must end in `ValueCorrupt` or be exactly what the encoder makes of their value.
 */

import { inspect } from 'node:util';
import { runInNewContext } from 'node:vm';
import { Decoder as CborX } from 'cbor-x';
import { describe, expect, it, vi } from 'vitest';
import { GossipStoreError } from '../ts/errors.js';
import { decodeValue, encodeValue } from '../ts/value-codec.js';
import { fromHalf } from '../ts/value-float.js';
import { BIGINT_BYTES_MAX, NESTING_MAX, VALUE_BYTES_MAX } from '../ts/value-format.js';
import { seeds, withSeed } from './random.js';
import { randomText, randomValue } from './random-value.js';
import { difference } from './same.js';

// Nothing here waits, but much is computed, and the machine may be busy.
vi.setConfig({ testTimeout: 60_000 });

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');
const fromHex = (digits: string) => Uint8Array.from(Buffer.from(digits.replaceAll(' ', ''), 'hex'));

function expectSame(actual: unknown, expected: unknown): void {
  const found = difference(actual, expected);
  if (found !== undefined) throw new Error(`${found} differs: ${inspect(actual)} is not ${inspect(expected)}`);
}

/** Runs `action`, which must fail, and returns its error, which must be of the package. */
function failure(action: () => unknown): GossipStoreError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(GossipStoreError);
    return error as GossipStoreError;
  }
  throw new Error('nothing was thrown');
}

const GOLDEN: [name: string, value: unknown, bytes: string][] = [
  ['null', null, 'f6'],
  ['true', true, 'f5'],
  ['false', false, 'f4'],
  ['undefined within', [undefined], '81 f7'],
  // Integers: RFC 8949, appendix A.
  ['0', 0, '00'],
  ['23', 23, '17'],
  ['24', 24, '1818'],
  ['255', 255, '18ff'],
  ['256', 256, '190100'],
  ['65535', 65535, '19ffff'],
  ['65536', 65536, '1a00010000'],
  ['2^31', 2 ** 31, '1a80000000'],
  ['2^32 - 1', 2 ** 32 - 1, '1affffffff'],
  ['2^32', 2 ** 32, '1b0000000100000000'],
  ['1e12', 1e12, '1b000000e8d4a51000'],
  ['2^53 - 1', Number.MAX_SAFE_INTEGER, '1b001fffffffffffff'],
  ['-1', -1, '20'],
  ['-24', -24, '37'],
  ['-25', -25, '3818'],
  ['-1000', -1000, '3903e7'],
  ['-2^31', -(2 ** 31), '3a7fffffff'],
  ['-(2^53 - 1)', Number.MIN_SAFE_INTEGER, '3b001ffffffffffffe'],
  // Floats: RFC 8949, appendix A.
  ['-0', -0, 'f98000'],
  ['1.5', 1.5, 'f93e00'],
  ['least half', 2 ** -24, 'f90001'],
  ['least normal half', 0.00006103515625, 'f90400'],
  ['3.4028234663852886e38', 3.4028234663852886e38, 'fa7f7fffff'],
  ['half of the least half', 2 ** -25, 'fa33000000'],
  ['2^53', 2 ** 53, 'fa5a000000'],
  ['2^53 + 2', 2 ** 53 + 2, 'fb4340000000000001'],
  ['1.1', 1.1, 'fb3ff199999999999a'],
  ['-4.1', -4.1, 'fbc010666666666666'],
  ['1e300', 1e300, 'fb7e37e43c8800759c'],
  ['least double', 5e-324, 'fb0000000000000001'],
  ['Infinity', Number.POSITIVE_INFINITY, 'f97c00'],
  ['-Infinity', Number.NEGATIVE_INFINITY, 'f9fc00'],
  ['NaN', Number.NaN, 'f97e00'],
  ['0n', 0n, 'c240'],
  ['5n', 5n, 'c24105'],
  ['-1n', -1n, 'c340'],
  ['-257n', -257n, 'c3420100'],
  ['2n ** 64n', 2n ** 64n, 'c249010000000000000000'],
  ['-(2n ** 64n) - 1n', -(2n ** 64n) - 1n, 'c349010000000000000000'],
  ['empty string', '', '60'],
  ['string', 'IETF', '6449455446'],
  ['23 units', 'a'.repeat(23), `77${'61'.repeat(23)}`],
  ['24 units', 'a'.repeat(24), `7818${'61'.repeat(24)}`],
  ['23 units, 24 bytes', `ü${'a'.repeat(22)}`, `7818c3bc${'61'.repeat(22)}`],
  ['256 units', 'a'.repeat(256), `790100${'61'.repeat(256)}`],
  ['three bytes a unit', '水', '63e6b0b4'],
  ['pair', '😀', '64f09f9880'],
  ['byte order mark', '\ufeffa', '64efbbbf61'],
  ['half a pair', 'a\ud83d', 'd90111 44 61eda0bd'],
  ['the halves the wrong way round', '\ude00\ud83d', 'd90111 46 edb880eda0bd'],
  ['date', new Date('2013-03-21T20:04:00Z'), 'c11a514b67b0'],
  ['date with milliseconds', new Date(1363896240500), 'c1fb41d452d9ec200000'],
  ['date before 1970', new Date(-1), 'c1fbbf50624dd2f1a9fc'],
  ['invalid date', new Date(Number.NaN), 'c1f97e00'],
  ['ArrayBuffer', Uint8Array.of(1, 2, 3).buffer, '43010203'],
  ['Uint8Array', Uint8Array.of(1, 255), 'd840 4201ff'],
  ['Uint8ClampedArray', Uint8ClampedArray.of(1, 255), 'd844 4201ff'],
  ['Uint16Array', Uint16Array.of(1, 0xfffe), 'd845 440100feff'],
  ['Uint32Array', Uint32Array.of(1), 'd846 4401000000'],
  ['BigUint64Array', BigUint64Array.of(1n), 'd847 480100000000000000'],
  ['Int8Array', Int8Array.of(-1), 'd848 41ff'],
  ['Int16Array', Int16Array.of(-2), 'd84d 42feff'],
  ['Int32Array', Int32Array.of(-2), 'd84e 44feffffff'],
  ['BigInt64Array', BigInt64Array.of(-2n), 'd84f 48feffffffffffffff'],
  ['Float32Array', Float32Array.of(1), 'd855 440000803f'],
  ['Float64Array', Float64Array.of(1), 'd856 48000000000000f03f'],
  ['a part of a buffer', new Uint8Array(Uint8Array.of(0, 1, 2, 3).buffer, 1, 2), 'd840 420102'],
  ['array', [1, [2, 3]], '82 01 82 02 03'],
  ['empty object', {}, 'a0'],
  ['keys by length, then by bytes', { aa: 1, b: 2, a: 3, '': 4 }, 'a4 60 04 6161 03 6162 02 626161 01'],
  [
    'keys by bytes of UTF-8',
    { ü: 1, zz: 2, 水: 3, '\ue000': 4, '😀': 5 },
    'a5 627a7a 02 62c3bc 01 63e6b0b4 03 63ee8080 04 64f09f9880 05',
  ],
  ['keys with half a pair come last', { '\ud83d': 1, zzzz: 2 }, 'a2 647a7a7a7a 02 d9011143eda0bd 01'],
  ['__proto__ as a key', JSON.parse('{"__proto__":{"a":1}}'), 'a1 695f5f70726f746f5f5f a1616101'],
  [
    'Map in its order',
    new Map<unknown, unknown>([
      ['b', 1],
      [2, { a: 1 }],
    ]),
    'd90103 a2 6162 01 02 a1616101',
  ],
  ['Set in its order', new Set<unknown>(['b', 1]), 'd90102 82 6162 01'],
];

describe('golden vectors', () => {
  it.each(GOLDEN)('%s', (_name, value, digits) => {
    const bytes = fromHex(digits);
    expect(hex(encodeValue(value))).toBe(hex(bytes));
    expectSame(decodeValue(bytes), value);
    expectSame(decodeValue(Buffer.concat([Buffer.alloc(3), bytes]).subarray(3)), value);
  });

  it('every 16-bit float', () => {
    const reader = new CborX();
    const wrong: string[] = [];
    for (let bits = 0; bits < 0x10000; bits++) {
      const bytes = Uint8Array.of(0xf9, bits >> 8, bits & 0xff);
      const value: number = reader.decode(bytes);
      const isShorter = Number.isNaN(value) ? bits !== 0x7e00 : Number.isInteger(value) && !Object.is(value, -0);
      const isCanonical = hex(encodeValue(value)) === hex(bytes);
      if (!Object.is(fromHalf(bits), value) || isCanonical === isShorter) wrong.push(hex(bytes));
    }
    expect(wrong).toEqual([]);
  });
});

describe('round trips', () => {
  it('random values come back as they were, and equal bytes come from them', () => {
    for (const seed of seeds(20)) {
      withSeed(seed, (random) => {
        for (let i = 0; i < 300; i++) {
          const value = randomValue(random);
          const bytes = encodeValue(value);
          const back = decodeValue(bytes);
          expectSame(back, value);
          expect(hex(encodeValue(back))).toBe(hex(bytes));
        }
      });
    }
  });

  it('an independent reader understands them', () => {
    const reader = new CborX({ useRecords: false, mapsAsObjects: true });
    for (const seed of seeds(20)) {
      withSeed(seed, (random) => {
        for (let i = 0; i < 300; i++) {
          // It reads all but these: it knows no WTF-8, makes views of all bytes, renames the key `__proto__`, swallows the byte order
          // mark at the start of a text (unless its native addon was built), and makes bigints of integers beyond 32 bits.
          const kinds = { wellFormed: true, buffers: false, proto: false, mark: false, wide: false };
          const value = randomValue(random, kinds);
          expectSame(reader.decode(encodeValue(value)), value);
        }
      });
    }
  });

  it('the order in which an object got its keys does not matter', () => {
    for (const seed of seeds(50)) {
      withSeed(seed, (random) => {
        const keys = [...new Set(Array.from({ length: Math.floor(random() * 30) }, () => randomText(random)))];
        const entries = keys.map((key, i): [string, number] => [key, i]);
        const bytes = encodeValue(Object.fromEntries(entries));
        for (let i = 0; i < 5; i++) {
          const shuffled = entries.map((entry) => ({ entry, rank: random() })).sort((a, b) => a.rank - b.rank);
          expect(hex(encodeValue(Object.fromEntries(shuffled.map(({ entry }) => entry))))).toBe(hex(bytes));
        }
      });
    }
  });

  it('keys that are remembered in one place are told apart', () => {
    const letters = [...'abcdefgh'];
    const keys = letters.flatMap((a) =>
      letters.flatMap((b) => letters.flatMap((c) => letters.map((d) => a + b + c + d))),
    );
    for (let round = 0; round < 3; round++) {
      for (const key of keys)
        expect(Object.keys(decodeValue(encodeValue({ [key]: 1 })) as object)[0] === key).toBe(true);
      keys.reverse();
    }
  });

  it('text of every length around the limits of its forms', () => {
    for (const letter of ['a', 'ü', '水', '😀', '\ud83d']) {
      for (let length = 0; length < 300; length++) {
        const text = 'x'.repeat(length % 3) + letter.repeat(length);
        expect(decodeValue(encodeValue(text))).toBe(text);
      }
      for (const length of [65_530, 65_540, 100_000]) {
        const text = letter.repeat(length);
        expect(decodeValue(encodeValue(text)) === text).toBe(true);
      }
    }
  });

  it('what was decoded shares no memory with the bytes', () => {
    const bytes = encodeValue({ a: Uint8Array.of(1, 2), b: Uint8Array.of(3).buffer });
    const value = decodeValue(bytes) as { a: Uint8Array; b: ArrayBuffer };
    bytes.fill(0);
    expectSame(value, { a: Uint8Array.of(1, 2), b: Uint8Array.of(3).buffer });
    expect(value.a.buffer.byteLength).toBe(2);
  });

  it('what was encoded is not changed by what is encoded next', () => {
    const first = encodeValue('first');
    encodeValue('other');
    expect(decodeValue(first)).toBe('first');
    expect(first.buffer.byteLength).toBe(first.length);
  });

  it('what structuredClone leaves out or unwraps is left out and unwrapped here', () => {
    class Point extends Map<string, number> {}
    const noPrototype: Record<string, unknown> = Object.assign(Object.create(null), { a: 1 });
    const withMore = Object.defineProperty({ [Symbol('s')]: 1, b: 2 }, 'hidden', { value: 3, enumerable: false });
    const getter = {
      get computed() {
        return 4;
      },
    };
    // biome-ignore lint/suspicious/noSparseArray: the hole is the point
    const values = [noPrototype, withMore, getter, [1, , 3], new Point([['x', 5]]), Buffer.from([6])];
    const back = [{ a: 1 }, { b: 2 }, { computed: 4 }, [1, undefined, 3], new Map([['x', 5]]), Uint8Array.of(6)];
    expectSame(decodeValue(encodeValue(values)), back);
  });

  it('values of another frame are values', () => {
    const foreign: unknown = runInNewContext(`({
      plain: { a: [1] }, date: new Date(5), map: new Map([[1, new Set([2])]]), bytes: new Uint8Array([3]), buffer: new ArrayBuffer(1),
    })`);
    expectSame(decodeValue(encodeValue(foreign)), {
      plain: { a: [1] },
      date: new Date(5),
      map: new Map([[1, new Set([2])]]),
      bytes: Uint8Array.of(3),
      buffer: new ArrayBuffer(1),
    });
  });

  it('what is referred to twice is written twice', () => {
    const shared = { a: 1 };
    expectSame(decodeValue(encodeValue([shared, shared])), [{ a: 1 }, { a: 1 }]);
  });

  it('a getter may encode another value meanwhile', () => {
    let inner: Uint8Array | undefined;
    const value = {
      a: 'before',
      get b() {
        inner = encodeValue(['inner', 1.5]);
        return 'between';
      },
      c: 'after',
    };
    expectSame(decodeValue(encodeValue(value)), { a: 'before', b: 'between', c: 'after' });
    expectSame(decodeValue(inner as Uint8Array), ['inner', 1.5]);
  });
});

describe('what cannot be stored', () => {
  class Account {
    balance = 1;
  }
  const cycle: { items: unknown[] } = { items: [1] };
  cycle.items.push({ parent: cycle });
  const selfish = new Map<string, unknown>();
  selfish.set('self', selfish);
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  const nested = (levels: number) => {
    let value: unknown = 'end';
    for (let i = 0; i < levels; i++) value = [value];
    return value;
  };

  it.each<[name: string, value: unknown, message: string]>([
    ['undefined', undefined, 'value is undefined'],
    ['function', () => {}, 'value is a function'],
    ['function within', { items: [0, 0, 0, { onClick() {} }] }, 'value.items[3].onClick is a function'],
    ['symbol', { tag: Symbol('x') }, 'value.tag is a symbol'],
    ['key that is no name', { 'a b': Symbol('x') }, 'value["a b"] is a symbol'],
    ['value of a Map', { m: new Map([['k', () => {}]]) }, 'value.m.get("k") is a function'],
    [
      'value of a Map under another key',
      new Map<unknown, unknown>([
        [1, 2],
        [3, () => {}],
      ]),
      'value.values()[1] is a function',
    ],
    [
      'key of a Map',
      new Map<unknown, unknown>([
        [1, 2],
        [() => {}, 3],
      ]),
      'value.keys()[1] is a function',
    ],
    ['item of a Set', new Set<unknown>([1, () => {}]), 'value.values()[1] is a function'],
    ['class instance', { account: new Account() }, 'value.account is an instance of Account'],
    ['promise', { later: Promise.resolve(1) }, 'value.later is a promise'],
    ['WeakMap', new WeakMap(), 'value is an instance of WeakMap, which cannot be stored; store a Map'],
    ['RegExp', /x/, 'value is an instance of RegExp'],
    ['Error', new Error('x'), 'value is an instance of Error'],
    ['DataView', new DataView(new ArrayBuffer(1)), 'value is an instance of DataView'],
    ['boxed number', Object(1), 'value is an instance of Number'],
    [
      'Blob',
      new Blob(['x']),
      'value is an instance of Blob, which cannot be stored; store its bytes: await blob.arrayBuffer()',
    ],
    [
      'DOM node',
      new (class HTMLElement {
        nodeType = 1;
      })(),
      'value is a DOM node (HTMLElement)',
    ],
    [
      'a pretended Map',
      new (class {
        get [Symbol.toStringTag]() {
          return 'Map';
        }
      })(),
      'value is an object with a prototype',
    ],
    ['cycle', cycle, 'value.items[1].parent refers back to value, a cycle'],
    [
      'cycle below',
      { deep: { list: [cycle] } },
      'value.deep.list[0].items[1].parent refers back to value.deep.list[0], a cycle',
    ],
    ['cycle through a Map', selfish, 'value.get("self") refers back to value, a cycle'],
    ['transferred bytes', { image: detached }, 'value.image was transferred away'],
    ['date that seconds cannot hold', new Date(4_398_046_874_471_530), 'value is a date in the year 141338'],
    ['bigint beyond some browsers', 1n << BigInt(BIGINT_BYTES_MAX * 8), 'value is a bigint of more than'],
    [
      'revoked proxy',
      (() => {
        const { proxy, revoke } = Proxy.revocable({}, {});
        revoke();
        return { proxy };
      })(),
      'value.proxy threw an error',
    ],
    [
      'getter that throws',
      {
        get broken() {
          throw new Error('on purpose');
        },
      },
      'value.broken threw an error',
    ],
  ])('%s', (_name, value, message) => {
    const { code, message: given } = failure(() => encodeValue(value));
    expect(given).toContain(message);
    expect(code).toBe('ValueNotStorable');
    expect(hex(encodeValue([1]))).toBe('8101');
  });

  it('what is nested too deep, but not one level less', () => {
    expectSame(decodeValue(encodeValue(nested(NESTING_MAX))), nested(NESTING_MAX));
    expect(failure(() => encodeValue(nested(NESTING_MAX + 1))).code).toBe('ValueNotStorable');
    expect(failure(() => encodeValue(nested(100_000))).message).toMatch(/^value\[0\]\[0\].*…/);
  });

  it('a Map that grows while it is read', () => {
    const map = new Map<string, unknown>();
    map.set('a', {
      get x() {
        map.set('b', 1);
        return 1;
      },
    });
    expect(failure(() => encodeValue(map)).code).toBe('ValueNotStorable');
  });

  it('the error of a getter is the cause', () => {
    const error = failure(() =>
      encodeValue({
        get broken() {
          throw new TypeError('on purpose');
        },
      }),
    );
    expect((error.cause as Error).message).toBe('on purpose');
  });
});

describe('what is too large', () => {
  it('is refused, and what just fits is not', () => {
    const headBytes = 'd840 5a00000000'.replaceAll(' ', '').length / 2;
    const fits = new Uint8Array(VALUE_BYTES_MAX - headBytes).fill(7);
    const bytes = encodeValue(fits);
    expect(bytes.length).toBe(VALUE_BYTES_MAX);
    expect(Buffer.compare(decodeValue(bytes) as Uint8Array, fits)).toBe(0);
    expect(failure(() => encodeValue(new Uint8Array(fits.length + 1))).code).toBe('ValueTooLarge');
    expect(hex(encodeValue(1))).toBe('01');
  });

  it.each<[string, () => unknown]>([
    ['text', () => 'a'.repeat(VALUE_BYTES_MAX)],
    ['text that grows in UTF-8', () => '水'.repeat(VALUE_BYTES_MAX / 2)],
    ['many items', () => new Array(VALUE_BYTES_MAX + 1).fill(0)],
    [
      'an array of holes',
      () => {
        const holes: unknown[] = [];
        holes.length = 4_000_000_000;
        return holes;
      },
    ],
    [
      'a few objects that refer to each other many times',
      () => {
        let value: unknown = 'x';
        for (let level = 0; level < 30; level++) value = [value, value];
        return value;
      },
    ],
  ])('%s', (_name, make) => {
    const { code, message } = failure(() => encodeValue(make()));
    expect(code).toBe('ValueTooLarge');
    expect(message).toContain('16 MiB');
  });
});

describe('hostile bytes', () => {
  it.each([
    ['nothing', ''],
    ['undefined by itself', 'f7'],
    ['something after the end', '0000'],
    ['an integer that is cut', '19ff'],
    ['an integer in a longer form', '1817'],
    ['a longer form of two bytes', '1900ff'],
    ['a longer form of four bytes', '1a0000ffff'],
    ['a longer form of eight bytes', '1b00000000ffffffff'],
    ['an integer beyond 2^53', '1b0020000000000000'],
    ['the largest integer', '1bffffffffffffffff'],
    ['a negative integer beyond -2^53', '3b001fffffffffffff'],
    ['reserved information', '1c'],
    ['indefinite text', '7f6161ff'],
    ['indefinite bytes', '5f4101ff'],
    ['an indefinite array', '9f01ff'],
    ['an indefinite map', 'bf616101ff'],
    ['a break', 'ff'],
    ['a simple value', 'e0'],
    ['a simple value of two bytes', 'f8ff'],
    ['a whole number as a float', 'f93c00'],
    ['a whole number as a double', 'fb3ff0000000000000'],
    ['a half as a single', 'fa3fc00000'],
    ['a single as a double', 'fb3ff8000000000000'],
    ['a NaN with a message', 'f97e01'],
    ['a negative NaN', 'f9fe00'],
    ['a single NaN', 'fa7fc00000'],
    ['a double NaN', 'fb7ff8000000000000'],
    ['a single infinity', 'fa7f800000'],
    ['a negative zero of four bytes', 'fa80000000'],
    ['text that is cut', '6261'],
    ['text of 4 GiB', '7affffffff'],
    ['text of 2^53 bytes', '7b001fffffffffffff'],
    ['text that is not UTF-8', '61ff'],
    ['text in an overlong form', '62c080'],
    ['text in an overlong form of three bytes', '63e08080'],
    ['text with half a pair', '63eda080'],
    ['text with a pair as two halves', '66eda0bdedb880'],
    ['text with a stray continuation', '6180'],
    ['text that ends within a character', '62e6b0'],
    ['text beyond Unicode', '64f4908080'],
    ['long text that is not UTF-8', `7864${'61'.repeat(99)}ff`],
    ['WTF-8 that is UTF-8', 'd901114161'],
    ['WTF-8 with a pair as two halves', 'd9011146eda0bdedb880'],
    ['WTF-8 that is cut', 'd9011142eda0'],
    ['WTF-8 that is text', 'd901116161'],
    ['bytes of 4 GiB', '5affffffff'],
    ['an array of 2^32 items', '9affffffff'],
    ['a map of 2^31 pairs', 'ba7fffffff'],
    ['a map of 2^53 pairs', 'bb001fffffffffffff'],
    ['a map that lacks a value', 'a16161'],
    ['a key that is a number', 'a10101'],
    ['a key that is bytes', 'a1416101'],
    ['a key twice', 'a2616101616102'],
    ['keys out of order', 'a2616201616102'],
    ['a longer key first', 'a262616101616201'],
    ['an unknown tag', 'd9270f01'],
    ['a tag with nothing', 'c1'],
    ['a date that is text', 'c1c16161'],
    ['a date of null', 'c1f6'],
    ['a date beyond all dates', 'c11b001fffffffffffff'],
    ['a date that is infinite', 'c1f97c00'],
    ['a date between milliseconds', 'c1fb3f1a36e2eb1c432d'],
    ['a date of -0', 'c1f98000'],
    ['a bigint that is a number', 'c201'],
    ['a bigint with a leading zero', 'c2420001'],
    ['a bigint that is cut', 'c24901'],
    ['a bigint beyond some browsers', `c25a00020001${'01'.repeat(BIGINT_BYTES_MAX + 1)}`],
    ['a Uint16Array of 3 bytes', 'd84543010203'],
    ['a typed array of numbers', 'd840820102'],
    ['a typed array with a big end', 'd841420102'],
    ['a Set that is a map', 'd90102a0'],
    ['a Set with an item twice', 'd90102820101'],
    ['a Set with -0', 'd9010281f98000'],
    ['a Map that is an array', 'd9010380'],
    ['a Map with a key twice', 'd90103a201020103'],
    ['a Set of 2^32 items', 'd901029affffffff'],
  ])('%s', (_name, digits) => {
    const { code, message } = failure(() => decodeValue(fromHex(digits)));
    expect(code).toBe('ValueCorrupt');
    expect(message).toMatch(/these bytes are not a value: .*, at byte \d+ of \d+/);
  });

  it('of great depth end soon', () => {
    for (const byte of [0x81, 0xc1, 0xc2]) {
      expect(failure(() => decodeValue(new Uint8Array(VALUE_BYTES_MAX).fill(byte))).code).toBe('ValueCorrupt');
    }
    for (const item of ['d9010281', 'd90103a1', 'a16161']) {
      const deep = fromHex(item.repeat(100_000));
      expect(failure(() => decodeValue(deep)).code).toBe('ValueCorrupt');
    }
  });

  it('that claim much at every level take no memory for it', () => {
    // Each level claims as many items as there are bytes left.
    const bytes = new Uint8Array(VALUE_BYTES_MAX);
    for (let level = 0; level < NESTING_MAX; level++) {
      bytes[level * 5] = 0x9a;
      new DataView(bytes.buffer).setUint32(level * 5 + 1, bytes.length - level * 5 - 5);
    }
    const before = process.memoryUsage();
    const items = failure(() => decodeValue(bytes));
    const after = process.memoryUsage();
    expect(items.code).toBe('ValueCorrupt');
    expect(after.heapUsed + after.arrayBuffers - before.heapUsed - before.arrayBuffers).toBeLessThan(1024 ** 3);
  });

  it('that are longer than a value may be are refused unread', () => {
    const bytes = new Uint8Array(VALUE_BYTES_MAX + 1);
    expect(failure(() => decodeValue(bytes)).message).toContain('too long');
  });

  it('every beginning of a value is refused', () => {
    for (const [, value] of GOLDEN) {
      const bytes = encodeValue(value);
      for (let length = 0; length < bytes.length; length++) {
        expect(failure(() => decodeValue(bytes.subarray(0, length))).code).toBe('ValueCorrupt');
      }
    }
  });

  it('random ones, and damaged values, are refused or are exactly the encoding of their value', () => {
    for (const seed of seeds(5)) {
      withSeed(seed, (random) => {
        let accepted = 0;
        for (let i = 0; i < 3_000; i++) {
          const bytes = i % 4 === 0 ? randomBytes(random) : damaged(random, encodeValue(randomValue(random)));
          let value: unknown;
          try {
            value = decodeValue(bytes);
          } catch (error) {
            expect(error).toMatchObject({ code: 'ValueCorrupt' });
            continue;
          }
          accepted++;
          expect(hex(encodeValue(value))).toBe(hex(bytes));
        }
        expect(accepted).toBeGreaterThan(100);
      });
    }
  });
});

function randomBytes(random: () => number): Uint8Array {
  return Uint8Array.from({ length: 1 + Math.floor(random() * 12) }, () => Math.floor(random() * 256));
}

function damaged(random: () => number, bytes: Uint8Array): Uint8Array {
  const copy = Uint8Array.from(bytes);
  for (let faults = 1 + Math.floor(random() * 2); faults > 0; faults--) {
    const at = Math.floor(random() * copy.length);
    copy[at] = random() < 0.5 ? Math.floor(random() * 256) : (copy[at] as number) ^ (1 << Math.floor(random() * 8));
  }
  return copy;
}
