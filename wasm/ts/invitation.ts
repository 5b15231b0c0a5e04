/** Inviting to a store, and following an invitation. */
import { checkOptions, checkText, invalidOptions } from './check.js';
import { loadEngine } from './engine.js';
import { asFailure, toError } from './failure.js';
import type { OpenOptions } from './options.js';

export interface InviteOptions {
  /**
   * When the invitation should not be followed any more. It is a wish, which this package heeds: it takes nothing from who has read the
   * invitation before.
   */
  expires?: Date | undefined;
}

export interface JoinOptions extends Omit<OpenOptions, 'secret'> {
  /** What to call the store in this browser, where the name in the invitation is taken by another store. */
  name?: string | undefined;
}

/** What an invitation says. */
export interface Invitation {
  /** What the store is called where the invitation was made. */
  readonly name: string;
  /** Where its members meet. */
  readonly relays: readonly string[];
  /** When it should not be followed any more. */
  readonly expires?: Date;
}

/** An invitation as the engine reads it; `expires` in seconds since 1970. */
export interface Invited {
  readonly name: string;
  readonly secret: Uint8Array;
  readonly relays: readonly string[];
  readonly expires: number | undefined;
}

/** When an invitation expires, in seconds since 1970; it is good until the second has begun. */
export function checkExpiry(options: InviteOptions | undefined): number | undefined {
  const { expires } = checkOptions('invite', options, ['expires']);
  if (expires === undefined) return undefined;
  const time = expires instanceof Date ? expires.getTime() : Number.NaN;
  if (Number.isNaN(time)) throw invalidOptions('invite', '`expires` is not a valid Date');
  if (time <= Date.now()) throw invalidOptions('invite', '`expires` is in the past');
  return Math.ceil(time / 1_000);
}

export function checkInvitation(of: string, invitation: unknown): string {
  const text = checkText(of, 'invitation', invitation);
  if (text === undefined) throw invalidOptions(of, 'there is no invitation; pass the text that `invite` gave');
  return text;
}

export function checkJoin(options: JoinOptions | undefined): JoinOptions {
  const { name } = checkOptions('join', options, ['name', 'relays', 'ice', 'storage', 'cache']);
  checkText('join', 'name', name);
  return options ?? {};
}

/** What an invitation says, or what is wrong with it. */
export async function readInvitation(text: string): Promise<Invited> {
  try {
    const engine = await loadEngine();
    return engine.readInvitation(text, Date.now() / 1_000);
  } catch (error) {
    throw toError(asFailure(error));
  }
}
