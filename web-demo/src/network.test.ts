import type { PeerStatus, RelayStatus, Status } from '@gossipstore/core';
import { expect, test } from 'vitest';
import { bytes, describe as describeStatus } from './network.js';

const peer = (facts: Partial<PeerStatus>): PeerStatus => ({
  id: '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp',
  path: 'relayed',
  inSync: true,
  bytesIn: 0,
  bytesOut: 0,
  ...facts,
});
const relay = (facts: Partial<RelayStatus>): RelayStatus => ({
  address: '/dns4/r/tcp/443/wss',
  state: 'connected',
  ...facts,
});
const status = (facts: Partial<Status>): Status => ({
  role: 'leader',
  network: 'offline',
  peers: [],
  storage: { kind: 'memory', persisted: false, usedBytes: 0 },
  relays: [],
  pending: 0,
  refused: {
    connections: 0,
    strangers: 0,
    streams: 0,
    frames: 0,
    pauses: 0,
    messages: 0,
    floods: 0,
    presences: 0,
    transactions: 0,
    members: 0,
  },
  ...facts,
});

test('the badge says what is known, and no more', () => {
  const waiting = relay({ state: 'waiting', error: 'connection refused' });
  const cases: [string, Status][] = [
    ['Only on this device', status({})],
    ['Connecting…', status({ network: 'connecting', relays: [relay({ state: 'connecting' })] })],
    ['Offline · relay not reached', status({ relays: [waiting] })],
    ['Offline', status({ relays: [relay({ state: 'connecting' })] })],
    ['Online · nobody else here', status({ network: 'relayed', relays: [relay({}), waiting] })],
    ['1 other · via relay · in sync', status({ network: 'relayed', relays: [relay({})], peers: [peer({})] })],
    ['1 other · direct · in sync', status({ network: 'direct', relays: [waiting], peers: [peer({ path: 'direct' })] })],
    [
      '2 others · via relay · syncing…',
      status({ network: 'direct', relays: [relay({})], peers: [peer({ path: 'direct' }), peer({ inSync: false })] }),
    ],
  ];
  for (const [text, given] of cases) expect(describeStatus(given)).toBe(text);
});

test('a long sync says how far it is, and only while it is on its way', () => {
  const syncing = status({ network: 'relayed', relays: [relay({})], peers: [peer({ inSync: false })] });
  expect(describeStatus(syncing, { done: 333, expected: 1000 })).toBe('1 other · via relay · syncing 33 %');
  expect(describeStatus(syncing, { done: 0, expected: 0 })).toBe('1 other · via relay · syncing…');
  expect(describeStatus(syncing, { done: 5, expected: 5 })).toBe('1 other · via relay · syncing…');
  const synced = { ...syncing, peers: [peer({})] };
  expect(describeStatus(synced, { done: 333, expected: 1000 })).toBe('1 other · via relay · in sync');
});

test('bytes for people', () => {
  expect([0, 999, 1_000, 12_345, 1_500_000].map(bytes)).toEqual(['0 B', '999 B', '1.0 KB', '12.3 KB', '1.5 MB']);
});
