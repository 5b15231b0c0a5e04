// The badge tells the truth about the network, and the page works whatever the truth is.
import { freePort } from '../../scripts/relay.mjs';
import { expect, RELAY_NOT_REACHED, test } from '../world.ts';

const SOMEBODY = '12D3KooWEyoppNCUx8Yx66oV9fJnriXwCcXwDDUA2kj6vnc6iDEp';

test('a malformed relay address: the page says what is wrong, and the list works on this device', async ({
  invite,
  join,
}) => {
  for (const address of ['nonsense', '/ip4/127.0.0.1/tcp/99999/ws', '/ip4/127.0.0.1/tcp/9091/ws/p2p/abc']) {
    const ada = await join('Ada', { fragment: invite(address) });
    await expect(ada.page.locator('#notice')).toContainText(address);
    await expect(ada.badge).toHaveText('Only on this device');
    await ada.add('milk');
    await ada.edit('milk', 'oat milk');
  }
});

test('a relay that is not there: the details say why, and the page works', async ({ invite, join }) => {
  const port = await freePort();
  const ada = await join('Ada', {
    fragment: invite(`/ip4/127.0.0.1/tcp/${port}/ws/p2p/${SOMEBODY}`),
    expectedErrors: [RELAY_NOT_REACHED],
  });
  await expect(ada.badge).toHaveAttribute('data-network', 'offline');
  await expect(ada.badge).toHaveText('Offline · relay not reached');
  await ada.badge.click();
  await expect(ada.page.locator('.relay .address')).toContainText(`/tcp/${port}/ws`);
  await expect(ada.page.locator('.relay .problem')).not.toBeEmpty();
  await ada.page.keyboard.press('Escape');

  await ada.add('milk');
  await ada.edit('milk', 'oat milk');
  await ada.row('oat milk').getByRole('checkbox').check();
  await ada.delete('oat milk');
});

test('a relay that is another one than its address says is not trusted', async ({ invite, join, relay }) => {
  const ada = await join('Ada', {
    fragment: invite(relay.address().replace(/[^/]+$/, SOMEBODY)),
    expectedErrors: [RELAY_NOT_REACHED],
  });
  await expect(ada.badge).toHaveAttribute('data-network', 'offline');
  await ada.badge.click();
  await expect(ada.page.locator('.relay .problem')).not.toBeEmpty();
});

test('a second relay carries on when the first is not there', async ({ invite, join, relay }) => {
  const dead = `/ip4/127.0.0.1/tcp/${await freePort()}/ws/p2p/${SOMEBODY}`;
  const options = {
    fragment: invite(dead, relay.address()),
    expectedErrors: [RELAY_NOT_REACHED],
  };
  const [ada, ben] = [await join('Ada', options), await join('Ben', options)];
  await ada.inSyncWith(1);
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
});

test('who was not invited is not met, whatever they call their list', async ({ join, relay }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  const eve = await join('Eve', { fragment: `#list=shopping&relay=${relay.address()}` });
  await expect(eve.badge).toHaveText('Online · nobody else here');
  await ada.inSyncWith(1);
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await expect(eve.badge).toHaveAttribute('data-peers', '0');
  expect(await eve.entries()).toEqual([]);
});
