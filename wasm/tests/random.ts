/** Random tests that can be told again: the seed is printed when a run fails, and taken back from the environment. */

/** The same sequence for the same seed (mulberry32): floats from 0 up to 1. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The seeds of a run: the one in `GOSSIPSTORE_SEED` alone, or `count` new ones. */
export function seeds(count: number): number[] {
  const given = process.env.GOSSIPSTORE_SEED;
  if (given !== undefined) return [Number(given)];
  return Array.from({ length: count }, () => Math.floor(Math.random() * 2 ** 32));
}

/** Runs `body` with the seed; a failure names it, with the way to run it again. */
export function withSeed(seed: number, body: (random: () => number) => void): void {
  try {
    body(seededRandom(seed));
  } catch (error) {
    throw new Error(`failed with seed ${seed}; run again with GOSSIPSTORE_SEED=${seed}`, { cause: error });
  }
}
