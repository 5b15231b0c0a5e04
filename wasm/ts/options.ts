/** What a store is opened with. */
import { checkOptions, checkText, invalidOptions } from './check.js';

export interface OpenOptions {
  /**
   * Multiaddresses of relays, through which the members of the store meet, each ending in `/p2p/` and the relay's id. Several
   * are normal; without any the store stays on this device.
   */
  relays?: readonly string[] | undefined;
}

export interface CheckedOptions {
  readonly name: string;
  readonly relays: readonly string[];
}

/** Types and spelling; what an address must look like is judged by the engine. */
export function checkOpen(name: unknown, options: OpenOptions | undefined): CheckedOptions {
  const checked = checkText('open', 'name', name);
  if (!checked) throw invalidOptions('open', 'the store has no name; pass one that all its members use');
  const { relays = [] } = checkOptions('open', options, ['relays']);
  if (!Array.isArray(relays)) throw invalidOptions('open', '`relays` is not an array of multiaddresses');
  for (const relay of relays) {
    if (typeof relay !== 'string') throw invalidOptions('open', '`relays` holds something that is not a string');
  }
  return { name: checked, relays: [...relays] };
}
