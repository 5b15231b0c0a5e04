/** What is stored: the same entries in every page and every run. */

/** How many bytes a key is, and a value as JSON. */
export const KEY_BYTES = 12;
export const VALUE_BYTES = 50;

const TEXT_LENGTH = VALUE_BYTES - JSON.stringify({ done: false, text: '' }).length;

export const keyFor = (n) => `key/${String(n).padStart(KEY_BYTES - 4, '0')}`;

/** The value of a key when it has been overwritten so many times: text of which no two are alike, so that nothing packs it well. */
export function valueFor(n, overwritten = 0) {
  // Marsaglia's xorshift, which only zero would stop.
  let state = Math.imul(n + 1, 0x9e3779b1) ^ Math.imul(overwritten + 1, 0x85ebca6b) || 1;
  let text = '';
  for (let at = -4; at < TEXT_LENGTH; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    // The first few of neighbouring seeds look alike.
    if (at >= 0) text += String.fromCharCode(97 + ((state >>> 8) % 26));
  }
  return { done: false, text };
}

/** Whether a value that was read is the one that was written. */
export const isValueFor = (value, n, overwritten) => JSON.stringify(value) === JSON.stringify(valueFor(n, overwritten));

/** Some entries of so many: to read them all would take longer than what is measured. */
export const someOf = (count) => [0, 1, count >> 1, count - 1];
