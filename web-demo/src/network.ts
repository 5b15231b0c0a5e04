// What the badge says about the network, and the details behind it. It shows `store.status` and never more than that knows.
import type { Status } from '@gossipstore/core';
import { element, setText } from './dom.js';

/** How many characters of a peer id tell peers apart; ids of one kind begin alike, so it is the end that is shown. */
const PEER_ID_CHARS = 6;

/** How far a first sync or a catch-up is. */
export interface Progress {
  done: number;
  expected: number;
}

/** One line for the badge. */
export function describe(status: Status, progress?: Progress): string {
  const { network, peers, relays } = status;
  if (relays.length === 0 && peers.length === 0) return 'Only on this device';
  if (peers.length > 0) {
    const who = peers.length === 1 ? '1 other' : `${peers.length} others`;
    const way = peers.every((peer) => peer.path === 'direct') ? 'direct' : 'via relay';
    return `${who} · ${way} · ${inSync(status) ? 'in sync' : syncing(progress)}`;
  }
  if (network === 'connecting') return 'Connecting…';
  if (network === 'offline') return relays.some((relay) => relay.error) ? 'Offline · relay not reached' : 'Offline';
  return 'Online · nobody else here';
}

/** Whether everybody who is connected is known to hold what this device holds. */
function inSync({ peers }: Status): boolean {
  return peers.length > 0 && peers.every((peer) => peer.inSync);
}

function syncing({ done, expected }: Progress = { done: 0, expected: 0 }): string {
  return expected > 0 && done < expected ? `syncing ${Math.floor((100 * done) / expected)} %` : 'syncing…';
}

/** Keeps the badge true. The attributes are for the style sheet and for tests. */
export function showBadge(badge: HTMLElement, text: HTMLElement, status: Status, progress?: Progress): void {
  badge.dataset.network = status.relays.length === 0 && status.peers.length === 0 ? 'local' : status.network;
  badge.dataset.peers = String(status.peers.length);
  badge.dataset.inSync = String(inSync(status));
  setText(text, describe(status, progress));
}

/** The details behind the badge. @param page what there is to say of the page itself */
export function details(status: Status, page: readonly string[]): Node[] {
  return [
    element('h2', {}, 'People'),
    status.peers.length === 0
      ? element('p', { class: 'hint' }, 'Nobody else is connected. Changes wait here and go out by themselves.')
      : element('ul', { class: 'facts' }, ...status.peers.map(peerLine)),
    element('h2', {}, 'Relays'),
    status.relays.length === 0
      ? element('p', { class: 'hint' }, 'The link names no relay, so this list meets nobody.')
      : element('ul', { class: 'facts' }, ...status.relays.map(relayLine)),
    element('h2', {}, 'This device'),
    element('p', { class: 'hint' }, storageLine(status)),
    element('h2', {}, 'This page'),
    ...page.map((line) => element('p', { class: 'hint' }, line)),
  ];
}

function peerLine(peer: Status['peers'][number]): HTMLElement {
  const facts = [peer.path === 'direct' ? 'direct' : 'via relay'];
  if (typeof peer.rttMs === 'number') facts.push(`${Math.round(peer.rttMs)} ms`);
  facts.push(peer.inSync ? 'in sync' : 'syncing');
  facts.push(`${bytes(peer.bytesIn)} in, ${bytes(peer.bytesOut)} out`);
  const line = element(
    'li',
    { class: 'peer' },
    element('code', { title: peer.id }, `…${peer.id.slice(-PEER_ID_CHARS)}`),
    element('span', {}, facts.join(' · ')),
  );
  if (peer.relayedBecause) line.append(element('span', { class: 'problem' }, `Not direct: ${peer.relayedBecause}`));
  return line;
}

function relayLine(relay: Status['relays'][number]): HTMLElement {
  const state = { connected: 'connected', connecting: 'connecting…', waiting: 'not reached, trying again' }[
    relay.state
  ];
  const line = element(
    'li',
    { class: 'relay', 'data-state': relay.state },
    element('code', { class: 'address' }, relay.address),
    element('span', {}, state),
  );
  if (relay.error) line.append(element('span', { class: 'problem' }, relay.error));
  return line;
}

function storageLine({ storage, pending }: Status): string {
  const room = storage.quotaBytes === undefined ? '' : ` of ${bytes(storage.quotaBytes)} allowed`;
  const where =
    storage.kind === 'memory'
      ? 'Kept in memory: it lives as long as this tab, or another person’s, is open.'
      : `Saved on this device (${bytes(storage.usedBytes)}${room}).`;
  if (storage.problem) return `${where} ${storage.problem}.`;
  return pending > 0 ? `${where} ${pending} ${pending === 1 ? 'change is' : 'changes are'} being saved.` : where;
}

/** Bytes for people, in powers of 1,000. */
export function bytes(count: number): string {
  if (count < 1_000) return `${count} B`;
  if (count < 1_000_000) return `${(count / 1_000).toFixed(1)} KB`;
  return `${(count / 1_000_000).toFixed(1)} MB`;
}
