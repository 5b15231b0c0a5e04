/**
 * Whether two values are the same to a program: kinds, prototypes, the order of Maps and Sets, -0 and 0 told apart, and every
 * `NaN` and invalid date the same as any other. (Node's `deepStrictEqual` says of two invalid dates that they differ, and does
 * not look at order.)
 */

/** The path to the first difference, or `undefined`. */
export function difference(a: unknown, b: unknown, path = 'value'): string | undefined {
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null)
    return Object.is(a, b) ? undefined : path;
  if (Object.getPrototypeOf(a) !== Object.getPrototypeOf(b)) return `the prototype of ${path}`;
  if (a instanceof Date) return Object.is(a.getTime(), (b as Date).getTime()) ? undefined : path;
  if (a instanceof ArrayBuffer) return listed([...new Uint8Array(a)], [...new Uint8Array(b as ArrayBuffer)], path);
  if (ArrayBuffer.isView(a)) return listed([...(a as Uint8Array)], [...(b as Uint8Array)], path);
  if (a instanceof Set) return listed([...a], [...(b as Set<unknown>)], path);
  if (a instanceof Map) return listed([...a].flat(1), [...(b as Map<unknown, unknown>)].flat(1), path);
  if (Array.isArray(a)) return listed(a, b as unknown[], path);
  const keys = Object.keys(a).sort();
  const other = Object.keys(b).sort();
  return (
    listed(keys, other, `the keys of ${path}`) ??
    listed(
      keys.map((key) => (a as Record<string, unknown>)[key]),
      keys.map((key) => (b as Record<string, unknown>)[key]),
      `${path}{${keys}}`,
    )
  );
}

function listed(a: readonly unknown[], b: readonly unknown[], path: string): string | undefined {
  if (a.length !== b.length) return `the length of ${path}`;
  for (let i = 0; i < a.length; i++) {
    const found = difference(a[i], b[i], `${path}[${i}]`);
    if (found !== undefined) return found;
  }
  return undefined;
}
