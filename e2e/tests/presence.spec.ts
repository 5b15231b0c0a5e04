// Who has the list open is seen by the others, within moments and for as long as it is so.
import type { Page } from '@playwright/test';
import { expect, test } from '../world.ts';

const people = (page: Page) => page.locator('#people .person-name');

async function callOneself(page: Page, name: string): Promise<void> {
  await page.locator('#own-name').fill(name);
  await page.locator('#own-name').press('Enter');
}

test('people see each other, what they call themselves, and what each edits', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.inSyncWith(1);
  await expect(people(ada.page)).toHaveText(['Somebody']);
  await expect(people(ben.page)).toHaveText(['Somebody']);
  await callOneself(ada.page, '  Ada ');
  await callOneself(ben.page, 'Ben');
  await expect(people(ada.page)).toHaveText(['Ben']);
  await expect(people(ben.page)).toHaveText(['Ada']);

  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await ada.row('milk').locator('.text').click();
  const editing = ben.page.locator('.row .editing');
  await expect(editing).toHaveText('Ada is editing');
  await ada.page.locator('.row .editor').press('Escape');
  await expect(editing).toBeHidden();

  // Whoever comes later hears of all; who goes says so, and a name is kept.
  const cat = await join('Cat');
  await expect.poll(async () => (await people(cat.page).allTextContents()).sort()).toEqual(['Ada', 'Ben']);
  await ben.page.close();
  await expect(people(ada.page)).toHaveText(['Somebody']);
  await expect(people(cat.page)).toHaveText(['Ada']);
  await ada.page.reload();
  await expect(people(cat.page)).toHaveText(['Ada']);
  await expect(people(ada.page)).toHaveText(['Somebody']);
});

test('each tab of a browser is present by itself, whichever of them has the network', async ({ browsers, join }) => {
  test.skip(browsers[0] !== 'chromium', 'it takes the DevTools protocol to crash a tab');
  const [ada, ben] = [await join('Ada', { expectedErrors: [/the tab crashed/] }), await join('Ben')];
  const tabs = [await ada.anotherTab(), await ada.anotherTab()] as const;
  await expect(people(ben.page)).toHaveCount(3);
  await expect(people(tabs[0])).toHaveCount(3);
  await expect(people(ada.page)).toHaveCount(3);

  // One that only follows.
  await tabs[1].close();
  await expect(people(ben.page)).toHaveCount(2);
  await expect(people(tabs[0])).toHaveCount(2);

  // The one with the network, without a word: who is left is seen all the while.
  const survivor = await tabs[0].evaluate(() => window.gossipstore?.store.presence.id);
  const seenByBen = await ben.page.evaluate(() => window.gossipstore?.store.presence.id);
  for (const [page, id] of [
    [ben.page, survivor],
    [tabs[0], seenByBen],
  ] as const) {
    await page.evaluate((id) => {
      const { presence } = (window.gossipstore as NonNullable<typeof window.gossipstore>).store;
      const seen = { lost: 0 };
      Object.assign(window, { seen });
      presence.subscribe(() => {
        if (!presence.others.some((other) => other.id === id)) seen.lost += 1;
      });
    }, id);
  }
  const cdp = await ada.page.context().newCDPSession(ada.page);
  const crashed = ada.page.waitForEvent('crash');
  // Nobody is left to answer.
  cdp.send('Page.crash').catch(() => {});
  await crashed;
  await expect(people(tabs[0])).toHaveCount(1);
  await expect(people(ben.page)).toHaveCount(1, { timeout: 45_000 });
  for (const page of [ben.page, tabs[0]]) {
    expect(await page.evaluate(() => (window as unknown as { seen: { lost: number } }).seen.lost)).toBe(0);
  }
  await callOneself(tabs[0], 'Ada');
  await expect(people(ben.page)).toHaveText(['Ada']);
  await ada.page.close();
});
