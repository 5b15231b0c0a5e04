/**
 * The loops that are timed. The bench imports this module once for each implementation, so that each has call sites of its
 * own: shared ones would see two classes, and an engine optimises those worse than any program with one cache would.
 */

/** Sets every key of `keys` in a new cache, `repeat` times. */
export function fill(make, keys, values, repeat) {
  for (let i = 0; i < repeat; i++) {
    const cache = make();
    for (let k = 0; k < keys.length; k++) cache.set(keys[k], values[k]);
  }
  return repeat * keys.length;
}

/** Gets keys that are there, in the order of `picks`. */
export function hit(cache, keys, picks) {
  let found = 0;
  for (let i = 0; i < picks.length; i++) if (cache.get(keys[picks[i]]) !== undefined) found++;
  if (found !== picks.length) throw new Error(`${picks.length - found} of ${picks.length} gets missed`);
  return picks.length;
}

/** Nine gets and one set, over somewhat more keys than fit. */
export function mix(cache, keys, values, picks) {
  let found = 0;
  for (let i = 0; i < picks.length; i++) {
    const pick = picks[i];
    if (i % 10 === 0) cache.set(keys[pick], values[pick]);
    else if (cache.get(keys[pick]) !== undefined) found++;
  }
  if (found === 0) throw new Error('no get found anything');
  return picks.length;
}

/** Sets keys that are not there in a full cache: each evicts the oldest. */
export function evict(cache, keys, values, operations) {
  for (let i = 0; i < operations; i++) {
    const k = i % keys.length;
    cache.set(keys[k], values[k]);
  }
  return operations;
}
