// Opens the list that a link leads to, whatever is wrong with the link's relays or taken of its name.
import { GossipStore, GossipStoreError } from '@gossipstore/core';
import { type Link, OWN_LIST } from './link.js';

/** How many lists of one name a device has before a further one is refused. */
const SAME_NAME_MAX = 9;

export interface OpenedList {
  readonly store: GossipStore;
  /** Why it meets nobody, where the link says that it should. */
  readonly problem?: string;
}

/** When a relay's address in the link is wrong, the list is opened without relays. */
export async function openList(link: Link): Promise<OpenedList> {
  try {
    return { store: await open(link) };
  } catch (error) {
    if (!hasCode(error, 'InvalidRelayAddress')) throw error;
    return { store: await open(link, []), problem: `This list is on this device only: ${error.message}` };
  }
}

function open(link: Link, relays?: string[]): Promise<GossipStore> {
  if ('invitation' in link) return join(link.invitation, relays);
  return GossipStore.open(link.name, { relays: relays ?? link.relays });
}

/** Joins a list; where another has its name on this device, under the first name that none has. */
async function join(invitation: string, relays: string[] | undefined): Promise<GossipStore> {
  const invited = await GossipStore.readInvitation(invitation);
  // Nobody else's list becomes the one that is opened without a link.
  const name = invited.name === OWN_LIST ? 'Shared list' : invited.name;
  for (let n = 1; ; n += 1) {
    try {
      return await GossipStore.join(invitation, { name: n === 1 ? name : `${name} (${n})`, relays });
    } catch (error) {
      if (!hasCode(error, 'OtherStore') || n === SAME_NAME_MAX) throw error;
    }
  }
}

function hasCode(error: unknown, code: GossipStoreError['code']): error is GossipStoreError {
  return error instanceof GossipStoreError && error.code === code;
}
