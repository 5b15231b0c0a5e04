// Whoever was away, or comes late, gets all of it, and brings nothing back that is gone.
import { expect, RELAY_NOT_REACHED, test } from '../world.ts';

test('1,000 keys written before someone opens the list are all there', async ({ join }) => {
  const ada = await join('Ada');
  await ada.page.evaluate(async () => {
    const store = window.gossipstore?.store;
    const item = (n: number) => ({ text: `entry ${n}`, done: n % 3 === 0 });
    const key = (n: number) => `item/${String(n).padStart(4, '0')}`;
    // Half of them one by one, half as one transaction.
    await Promise.all(Array.from({ length: 500 }, (_, n) => store?.set(key(n), item(n))));
    await store?.setMany(Array.from({ length: 500 }, (_, n) => [key(500 + n), item(500 + n)] as [string, unknown]));
  });
  await expect(ada.rows).toHaveCount(1000);

  const ben = await join('Ben');
  await expect(ben.rows).toHaveCount(1000);
  expect(await ben.entries()).toEqual(await ada.entries());
  await ben.inSyncWith(1);
  await ada.inSyncWith(1);
  await expect(ben.page.locator('#count')).toHaveText('666 of 1000 open');
});

test('what was deleted while someone was away does not come back with them', async ({ join }) => {
  const ada = await join('Ada');
  const ben = await join('Ben', { expectedErrors: [RELAY_NOT_REACHED] });
  await ada.add('bread');
  await ada.add('milk');
  await expect(ben.rows).toHaveCount(2);
  await ben.inSyncWith(1);
  await ada.inSyncWith(1);

  await ben.goAway();
  await expect(ada.badge).toHaveAttribute('data-peers', '0');
  await expect(ben.badge).toHaveAttribute('data-peers', '0');
  await ada.delete('milk');
  await ben.edit('bread', 'rye bread');
  await expect(ben.row('milk')).toBeVisible();

  ben.comeBack();
  await ada.inSyncWith(1);
  await ben.inSyncWith(1);
  for (const person of [ada, ben]) {
    await expect(person.row('rye bread')).toBeVisible();
    await expect(person.rows).toHaveCount(1);
    expect((await person.entries()).map(([, value]) => value)).toEqual([{ text: 'rye bread', done: false }]);
  }
});

test('what was written without a network goes out when it is back', async ({ join }) => {
  const expectedErrors = [RELAY_NOT_REACHED];
  const [ada, ben] = [await join('Ada', { expectedErrors }), await join('Ben', { expectedErrors })];
  await ada.inSyncWith(1);
  for (const person of [ada, ben]) await person.goAway();

  await ada.add('from Ada');
  await ben.add('from Ben');
  await expect(ada.rows).toHaveCount(1);

  for (const person of [ada, ben]) person.comeBack();
  for (const person of [ada, ben]) {
    await person.inSyncWith(1);
    await expect(person.rows).toHaveCount(2);
  }
});
