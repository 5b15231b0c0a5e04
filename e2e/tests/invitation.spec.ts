// A list belongs to those who were invited to it, on every device and in every tab.
import type { GossipStore } from '@gossipstore/core';
import type { Page } from '@playwright/test';
import { invitation, newSecret } from '../../scripts/invitation.mjs';
import { expect, type Person, test } from '../world.ts';

/** Opens a link in a tab of its own. */
async function openTab(person: Person, fragment: string): Promise<Page> {
  const page = await person.page.context().newPage();
  page.on('pageerror', (error) => person.note(`page error: ${error.stack ?? error.message}`));
  await page.goto(new URL(fragment, person.page.url()).href);
  await page.waitForFunction(() => window.gossipstore !== undefined);
  return page;
}

/** Which list a tab shows: its name in this browser and its name among members. */
const shown = (page: Page) =>
  page.evaluate(() => {
    const store = window.gossipstore?.store as GossipStore;
    return { name: store.name, id: store.id };
  });

const row = (page: Page, text: string) => page.locator('#list .row', { has: page.getByText(text, { exact: true }) });

/** An invitation to a list of the same name that is another. */
const toAnother = (...relays: string[]) => `#join=${invitation({ name: 'shopping', secret: newSecret(), relays })}`;

test('a list that was joined is opened by its name from then on, at the relays of the invitation', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  const joined = await shown(ben.page);
  expect(joined).toEqual(await shown(ada.page));
  const { page } = ben;
  const link = new URL('#list=shopping', page.url()).href;
  // The invitation is not left where somebody may see it.
  expect(page.url()).toBe(link);
  await page.goto('about:blank');
  await page.goto(link);
  await page.waitForFunction(() => window.gossipstore !== undefined);
  expect(await shown(page)).toEqual(joined);
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
});

test('a list whose name is taken is opened beside the other, in whichever tab and again', async ({ join, relay }) => {
  const ada = await join('Ada', { fragment: `#list=shopping&relay=${relay.address()}` });
  await ada.add('hers');
  const link = toAnother(relay.address());
  // While the first is open in a tab, which leads, and when nobody has it open.
  const second = await openTab(ada, link);
  await expect(second).toHaveTitle('shopping (2) · GossipStore');
  expect(await shown(second)).not.toEqual(await shown(ada.page));
  await expect(second.locator('#list .row')).toHaveCount(0);
  const joined = await shown(second);
  const first = ada.page.url();
  await ada.page.close();
  await second.goto('about:blank');
  await second.goto(new URL(link, first).href);
  await second.waitForFunction(() => window.gossipstore !== undefined);
  expect(await shown(second)).toEqual(joined);

  const ben = await join('Ben', { fragment: link });
  await ben.add('theirs');
  await expect(row(second, 'theirs')).toBeVisible();
});

test('a link that was cut or changed on its way: the page says so', async ({ invite, join, relay }) => {
  const ada = await join('Ada');
  const whole = invite(relay.address());
  const page = await ada.page.context().newPage();
  for (const [fragment, words] of [
    [whole.slice(0, -9), 'cut off'],
    [`${whole.slice(0, 30)}x${whole.slice(31)}`, 'changed on its way'],
  ] as const) {
    await page.goto('about:blank');
    await page.goto(new URL(fragment, ada.page.url()).href);
    await expect(page.locator('#notice')).toContainText(words);
    await expect(page.locator('#badge')).toHaveText('Could not start');
  }
});
