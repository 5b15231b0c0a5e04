// The bytes that are sent: each follows from its place, so that none can be lost, doubled or swapped unnoticed. The same as in
// `src/pattern.rs`.

/** So many bytes from `start` on. */
export function pattern(start: number, length: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let offset = 0; offset < length; offset += 1) bytes[offset] = at(start + offset);
  return bytes;
}

/** Where bytes that begin at `start` are not as they should be. */
export function flaw(start: number, bytes: Uint8Array): number | undefined {
  for (let offset = 0; offset < bytes.length; offset += 1) {
    if (bytes[offset] !== at(start + offset)) return start + offset;
  }
  return undefined;
}

function at(place: number): number {
  // 2³² divided by the golden ratio: the upper bits of its multiples are as unlike each other as can be.
  return Math.imul(place, 0x9e3779b1) >>> 24;
}
