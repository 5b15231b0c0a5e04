/** What the limits of a cache may be: the same rules for `LRUCache` and for the cache of a store. */

/** @throws RangeError that names the limit and what it may be. */
export function checkLimits(maxItems: unknown, maxMemoryBytes: unknown): void {
  if (maxItems !== undefined) checkLimit('maxItems', maxItems, true);
  if (maxMemoryBytes !== undefined) checkLimit('maxMemoryBytes', maxMemoryBytes, false);
  const limits = [maxItems, maxMemoryBytes].filter((limit) => limit !== undefined);
  // Without either there is a default; it is what was said to be infinite that leaves none.
  if (limits.length > 0 && limits.every((limit) => limit === Number.POSITIVE_INFINITY)) {
    throw new RangeError(
      'A cache without any limit never forgets: give maxItems or maxMemoryBytes a finite value, or use a Map.',
    );
  }
}

function checkLimit(name: string, limit: unknown, whole: boolean): void {
  if (typeof limit !== 'number' || !(limit >= 1)) {
    throw new RangeError(`${name} must be a number from 1 up, not ${show(limit)}. Leave it out for no such limit.`);
  }
  if (whole && limit !== Number.POSITIVE_INFINITY && !Number.isInteger(limit)) {
    throw new RangeError(`${name} counts entries and must be a whole number, not ${show(limit)}.`);
  }
}

export function show(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value);
}
