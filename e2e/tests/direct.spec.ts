// Tabs connect directly: the relay lets them find each other and carries nothing of theirs then; without it they go on.
import { expect, type Person, RELAY_NOT_REACHED, test } from '../world.ts';

/** What a relay's connection carries by itself: pings, and the renewal of what it was asked for. */
const IDLE_BYTES_MAX = 16 * 1024;

/** Writes something at each person's, and waits until all of them have all of it. */
async function exchange(people: readonly Person[], label: string): Promise<void> {
  for (const person of people) await person.add(`${label} of ${person.name}`);
  for (const person of people) {
    for (const { name } of people) await expect(person.row(`${label} of ${name}`)).toBeVisible();
  }
}

test('what two people write passes them alone, not the relay', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await Promise.all([ada.directlyWith(1), ben.directlyWith(1)]);
  expect((await ada.status).network).toBe('direct');
  await expect(ada.badge).toContainText('1 other · direct');
  await exchange([ada, ben], 'milk');

  const before = [ada.line.bytes, ben.line.bytes];
  const filling = 'x'.repeat(2_000);
  await ada.page.evaluate(async (filling) => {
    for (let n = 0; n < 100; n += 1) await window.gossipstore?.store.set(`filling/${n}`, filling);
  }, filling);
  await expect.poll(async () => (await ben.entries('filling/')).length).toBe(100);
  await exchange([ada, ben], 'bread');
  const [passed] = (await ben.status).peers.map(({ bytesIn }) => bytesIn);
  expect(passed).toBeGreaterThan(200_000);
  expect(ada.line.bytes - (before[0] as number)).toBeLessThan(IDLE_BYTES_MAX);
  expect(ben.line.bytes - (before[1] as number)).toBeLessThan(IDLE_BYTES_MAX);
});

test('four go on without the relay, heal by themselves, and a fifth joins when it is back', async ({ join, relay }) => {
  const people = [await join('Ada'), await join('Ben'), await join('Cyd'), await join('Dee')];
  for (const person of people) await person.directlyWith(3);
  expect(
    people.map(({ line }) => line.opened),
    'the relay hung up on nobody',
  ).toEqual([1, 1, 1, 1]);
  for (const person of people) person.expectedErrors.push(RELAY_NOT_REACHED);
  await relay.stop();
  await exchange(people, 'without the relay');
  for (const person of people) {
    await expect.poll(async () => (await person.status).relays[0]?.state).not.toBe('connected');
    await person.directlyWith(3);
    expect((await person.status).network).toBe('direct');
  }

  const [ada] = people as [Person];
  await ada.loseOne();
  for (const person of people) await person.directlyWith(3);
  await exchange(people, 'healed');

  await relay.start();
  const eve = await join('Eve');
  await eve.directlyWith(4);
  await exchange([...people, eve], 'with Eve');
});

test('a newcomer meets those who have lost the relay through those who have not', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await Promise.all([ada.directlyWith(1), ben.directlyWith(1)]);
  ada.expectedErrors.push(RELAY_NOT_REACHED);
  ada.line.cut();
  await expect.poll(async () => (await ada.status).relays[0]?.state).not.toBe('connected');

  const cyd = await join('Cyd');
  const people = [ada, ben, cyd];
  for (const person of people) await person.directlyWith(2);
  await exchange(people, 'all three');
});

test('someone who closes their tab is gone from the badge of the others', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.inSyncWith(1);
  await expect(ada.badge).toContainText('1 other');
  await Promise.all([ada.directlyWith(1), ben.directlyWith(1)]);
  await ben.page.close();
  // Told by the page that goes, not by timers: those take a quarter of a minute.
  await expect(ada.badge).toHaveAttribute('data-peers', '0', { timeout: 5_000 });
  await expect(ada.badge).toHaveText('Online · nobody else here');
});

test('without WebRTC all passes the relay, and the status says why', async ({ join }) => {
  const withoutWebRtc = () => {
    Reflect.deleteProperty(window, 'RTCPeerConnection');
  };
  const [ada, ben] = [await join('Ada', { before: withoutWebRtc }), await join('Ben')];
  await Promise.all([ada.inSyncWith(1), ben.inSyncWith(1)]);
  await exchange([ada, ben], 'milk');
  const [ofAda, ofBen] = [await ada.status, await ben.status];
  expect([ofAda.network, ofBen.network]).toEqual(['relayed', 'relayed']);
  expect(ofAda.peers[0]?.relayedBecause).toContain('RTCPeerConnection');
  expect(ofBen.peers[0]?.relayedBecause).toBeTruthy();
  await ada.badge.click();
  await expect(ada.page.locator('.peer .problem')).toContainText('RTCPeerConnection');
});
