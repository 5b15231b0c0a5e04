/** Reading a range of keys, page by page. */
import { checkOptions, checkSignal, checkText, invalidOptions } from './check.js';
import type { Page, ScanRequest } from './host.js';

/** Which keys, in which order. Keys are ordered by their Unicode code points. */
export interface Range {
  /** Only keys that begin with this. */
  prefix?: string | undefined;
  /** Only keys at or after this. */
  gte?: string | undefined;
  /** Only keys after this. */
  gt?: string | undefined;
  /** Only keys at or before this. */
  lte?: string | undefined;
  /** Only keys before this. */
  lt?: string | undefined;
  /** From the last key to the first. */
  reverse?: boolean | undefined;
  /** At most so many keys. */
  limit?: number | undefined;
  /** Ends the iteration by throwing its reason. */
  signal?: AbortSignal | undefined;
}

export interface CheckedRange {
  readonly scan: Omit<ScanRequest, 'values' | 'conflicts'>;
  readonly signal: AbortSignal | undefined;
}

const OPTIONS = ['prefix', 'gte', 'gt', 'lte', 'lt', 'reverse', 'limit', 'signal'] as const;
const BOUNDS = ['prefix', 'gte', 'gt', 'lte', 'lt'] as const;
/** Limits cross as 32 bits; no store in a tab holds more keys. */
const LIMIT_MAX = 2 ** 32 - 1;

export function checkRange(of: string, options: Range | undefined): CheckedRange {
  const range = checkOptions(of, options, OPTIONS);
  const scan: { -readonly [K in keyof CheckedRange['scan']]: CheckedRange['scan'][K] } = {};
  for (const bound of BOUNDS) {
    const text = checkText(of, bound, range[bound]);
    if (text !== undefined) scan[bound] = text;
  }
  const { limit } = range;
  if (range.reverse) scan.reverse = true;
  if (limit !== undefined) {
    const whole = Number.isInteger(limit) || limit === Number.POSITIVE_INFINITY;
    if (!whole || limit < 0) throw invalidOptions(of, '`limit` is not a whole number of keys');
    if (limit <= LIMIT_MAX) scan.limit = limit;
  }
  return { scan, signal: checkSignal(of, range.signal) };
}

/**
 * Every item of a range. Each page is of one moment; between two pages the store may change, and a key is given at most once
 * all the same, because the next page begins after the last key.
 * @param ask fetches one page
 * @param item makes what the caller wants of the page's nth key
 */
export async function* readRange<T>(
  { scan, signal }: CheckedRange,
  wanted: Pick<ScanRequest, 'values' | 'conflicts'>,
  ask: (request: { call: 'scan' } & ScanRequest) => Promise<Page>,
  item: (page: Page, at: number) => T,
): AsyncGenerator<T, undefined, undefined> {
  const onwards = scan.reverse ? 'lt' : 'gt';
  let rest = scan;
  while (rest.limit !== 0) {
    signal?.throwIfAborted();
    const page = await ask({ call: 'scan', ...rest, ...wanted });
    for (let at = 0; at < page.keys.length; at++) {
      signal?.throwIfAborted();
      yield item(page, at);
    }
    if (page.next === undefined) return;
    const limit = rest.limit === undefined ? {} : { limit: rest.limit - page.keys.length };
    rest = { ...rest, [onwards]: page.next, ...limit };
  }
}
