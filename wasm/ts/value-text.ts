/**
 * Strings that UTF-8 cannot hold. A JavaScript string is any sequence of 16-bit units; one that was cut within an emoji has
 * half a surrogate pair, which UTF-8 has no bytes for and `TextEncoder` silently replaces. WTF-8
 * (https://simonsapin.github.io/wtf-8/) is UTF-8 that writes such a half as three bytes.
 */

const LONE_SURROGATE = /\p{Surrogate}/u;

/** Whether UTF-8 holds the string as it is. */
export function isWellFormed(text: string): boolean {
  // Of 2023, and several times faster.
  const native = (text as { isWellFormed?: () => boolean }).isWellFormed;
  return native === undefined ? !LONE_SURROGATE.test(text) : native.call(text);
}

export function encodeWtf8(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length * 3);
  let at = 0;
  for (const character of text) {
    const point = character.codePointAt(0) as number;
    if (point < 0x80) {
      bytes[at++] = point;
    } else if (point < 0x800) {
      bytes[at++] = 0xc0 | (point >> 6);
      bytes[at++] = 0x80 | (point & 0x3f);
    } else if (point < 0x10000) {
      bytes[at++] = 0xe0 | (point >> 12);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    } else {
      bytes[at++] = 0xf0 | (point >> 18);
      bytes[at++] = 0x80 | ((point >> 12) & 0x3f);
      bytes[at++] = 0x80 | ((point >> 6) & 0x3f);
      bytes[at++] = 0x80 | (point & 0x3f);
    }
  }
  return bytes.slice(0, at);
}

/** The string of WTF-8 bytes, or `undefined` when they are not what {@link encodeWtf8} makes of it. */
export function decodeWtf8(bytes: Uint8Array): string | undefined {
  let text = '';
  for (let at = 0; at < bytes.length; ) {
    const first = bytes[at++] as number;
    const following = first < 0x80 ? 0 : first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
    let point = following === 0 ? first : first & (0x3f >> following);
    for (let i = 0; i < following; i++) point = (point << 6) | ((bytes[at++] ?? 0) & 0x3f);
    if (point > 0x10ffff) return undefined;
    text += String.fromCodePoint(point);
  }
  // Every fault (overlong forms, missing or stray bytes, a pair written as two halves) shows as a difference here.
  const again = encodeWtf8(text);
  return again.length === bytes.length && again.every((byte, i) => byte === bytes[i]) ? text : undefined;
}
