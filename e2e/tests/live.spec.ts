// What one person does, the others see at once.
import { expect, type Person, test } from '../world.ts';

/** The bar of the project: from the key press in one window to the row in another. */
const APPEARS_WITHIN_MS = 1_000;

/** Notes, in the page's own time, when Enter is pressed. Both pages are on one machine and have one clock. */
async function whenEntered(person: Person): Promise<() => Promise<number>> {
  await person.page.evaluate(() => {
    const noted = new Promise<number>((resolve) => {
      document.addEventListener('keydown', (event) => event.key === 'Enter' && resolve(Date.now()), { capture: true });
    });
    Object.assign(window, { entered: noted });
  });
  return () => person.page.evaluate(() => (window as unknown as { entered: Promise<number> }).entered);
}

/** Notes, in the page's own time, when a row with this text comes into the list. */
async function whenShown(person: Person, text: string): Promise<() => Promise<number>> {
  await person.page.evaluate((text) => {
    const noted = new Promise<number>((resolve) => {
      const look = () => [...document.querySelectorAll('#list .text')].some((shown) => shown.textContent === text);
      new MutationObserver(() => look() && resolve(Date.now())).observe(document.querySelector('#list') as Element, {
        childList: true,
        subtree: true,
        characterData: true,
      });
    });
    Object.assign(window, { shown: noted });
  }, text);
  return () => person.page.evaluate(() => (window as unknown as { shown: Promise<number> }).shown);
}

test('an entry typed in one window appears in another within a second', async ({ join }, info) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.inSyncWith(1);
  await ben.inSyncWith(1);

  const entered = await whenEntered(ada);
  const shown = await whenShown(ben, 'milk');
  await ada.newText.pressSequentially('milk');
  await ada.newText.press('Enter');
  const took = (await shown()) - (await entered());

  info.annotations.push({ type: 'time', description: `${took} ms` });
  expect(took).toBeLessThan(APPEARS_WITHIN_MS);
  await expect(ben.row('milk')).toBeVisible();
  await expect(ada.row('milk')).toBeVisible();
});

test('an edit, a tick and a deletion arrive too', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.inSyncWith(1);
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();

  await ben.edit('milk', 'oat milk');
  await expect(ada.row('oat milk')).toBeVisible();
  await expect(ada.rows).toHaveCount(1);

  await ada.row('oat milk').getByRole('checkbox').check();
  await expect(ben.row('oat milk').getByRole('checkbox')).toBeChecked();

  await ben.delete('oat milk');
  await expect(ada.rows).toHaveCount(0);
  await expect(ada.page.locator('#empty')).toBeVisible();
});

test('three people end with the same list', async ({ join }) => {
  const people = [await join('Ada'), await join('Ben'), await join('Cai')];
  for (const person of people) await person.inSyncWith(2);

  // All at the same time, each their own entries and one that all three fight over.
  await Promise.all(
    people.map(({ page, name }) =>
      page.evaluate(async (name) => {
        const store = window.gossipstore?.store;
        for (let n = 0; n < 20; n++) await store?.set(`item/${name}-${n}`, { text: `${name} ${n}`, done: false });
        await store?.set('item/all', { text: `${name} was here`, done: false });
      }, name),
    ),
  );
  for (const person of people) {
    await expect(person.rows).toHaveCount(61);
    await person.inSyncWith(2);
  }
  const [ada, ...others] = await Promise.all(people.map((person) => person.entries()));
  for (const other of others) expect(other).toEqual(ada);
});
