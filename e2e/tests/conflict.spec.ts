// What two people write at the same time while apart is kept, shown to both, and decided by either.
import { type Arrangement, expect, type Person, RELAY_NOT_REACHED, test } from '../world.ts';

/** Two people who edited the same entry while one of them was cut off, and who meet again. */
async function twoInConflict(join: Arrangement['join']): Promise<[Person, Person]> {
  const [ada, ben] = [await join('Ada'), await join('Ben', { expectedErrors: [RELAY_NOT_REACHED] })];
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await ben.goAway();
  await expect(ada.badge).toHaveAttribute('data-peers', '0');
  await ada.edit('milk', 'oat milk');
  await ben.edit('milk', 'goat milk');
  ben.comeBack();
  return [ada, ben];
}

test('both edited an entry while apart: both see both versions, and choosing in one window ends it in both', async ({
  join,
}) => {
  const expectedErrors = [RELAY_NOT_REACHED];
  const [ada, ben] = [await join('Ada', { expectedErrors }), await join('Ben', { expectedErrors })];
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await ada.inSyncWith(1);
  await ben.inSyncWith(1);

  for (const person of [ada, ben]) await person.goAway();
  await ada.edit('milk', 'oat milk');
  await ben.edit('milk', 'goat milk');

  for (const person of [ada, ben]) person.comeBack();
  for (const person of [ada, ben]) {
    expect(await person.versions(person.rows.first())).toEqual(['goat milk', 'oat milk']);
    await expect(person.rows).toHaveCount(1);
    await expect(person.page.locator('#count')).toContainText('1 in conflict');
  }
  const key = (await ada.rows.first().getAttribute('data-key')) as string;
  const siblings = await Promise.all(
    [ada, ben].map(({ page }) =>
      page.evaluate(async (key) => (await window.gossipstore?.store.getSiblings(key))?.values, key),
    ),
  );
  expect(siblings[0]).toHaveLength(2);
  expect(siblings[1]).toEqual(siblings[0]);

  // The one that a plain read does not give, so that choosing changes what both windows show.
  const shown = (await ada.rows.first().locator('.text').textContent()) as string;
  const chosen = shown === 'oat milk' ? 'goat milk' : 'oat milk';
  await ada.page.getByRole('button', { name: `Keep ${chosen}`, exact: true }).click();
  for (const person of [ada, ben]) {
    await expect(person.row(chosen)).toBeVisible();
    await expect(person.page.locator('.row.conflict')).toHaveCount(0);
    await expect(person.page.locator('.choice')).toHaveCount(0);
    await expect(person.rows).toHaveCount(1);
  }
});

test('choosing the version that was shown anyway ends the conflict in both windows too', async ({ join }) => {
  const [ada, ben] = await twoInConflict(join);
  for (const person of [ada, ben]) await person.versions(person.rows.first());

  const shown = (await ben.rows.first().locator('.text').textContent()) as string;
  await ben.page.getByRole('button', { name: `Keep ${shown}`, exact: true }).click();
  for (const person of [ada, ben]) {
    await expect(person.page.locator('.row.conflict')).toHaveCount(0);
    await expect(person.row(shown)).toBeVisible();
  }
});

test('all versions can be kept, as entries of their own', async ({ join }) => {
  const [ada, ben] = await twoInConflict(join);
  await ada.versions(ada.rows.first());
  await ada.page.getByRole('button', { name: 'Keep all as entries' }).click();
  for (const person of [ada, ben]) {
    await expect(person.rows).toHaveCount(2);
    await expect(person.row('oat milk')).toBeVisible();
    await expect(person.row('goat milk')).toBeVisible();
    await expect(person.page.locator('.row.conflict')).toHaveCount(0);
  }
});
