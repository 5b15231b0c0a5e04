// The page itself: what a person is doing is never disturbed by what arrives, and nothing that arrives is trusted.
import { expect, test } from '../world.ts';

test('without a link the list works on this device and says so', async ({ join }) => {
  const ada = await join('Ada', { fragment: '' });
  await expect(ada.badge).toHaveText('Only on this device');
  await expect(ada.page.locator('#notice')).toContainText('on this device only');
  await ada.add('milk');
  await ada.delete('milk');
  await ada.page.getByRole('button', { name: 'Undo' }).click();
  await expect(ada.row('milk')).toBeVisible();

  await ada.row('milk').getByRole('checkbox').check();
  await ada.page.getByRole('button', { name: 'Remove ticked' }).click();
  await expect(ada.rows).toHaveCount(0);
});

test('a change from elsewhere leaves alone what someone is typing, and stays beside it as a conflict', async ({
  join,
}) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.add('milk');
  await expect(ben.row('milk')).toBeVisible();
  await ada.inSyncWith(1);

  await ada.row('milk').locator('.text').click();
  const editor = ada.page.locator('.editor');
  await editor.fill('oat milk, 2 litr');
  await ben.edit('milk', 'goat milk');
  await ben.add('bread');
  await expect(ada.page.locator('.row-hint:visible')).toContainText('goat milk');
  await expect(ada.row('bread')).toBeVisible();
  // Of several windows of Firefox one has the focus, and it may be Ben's.
  await ada.page.bringToFront();
  await expect(editor).toBeFocused();
  await editor.pressSequentially('es');
  await expect(editor).toHaveValue('oat milk, 2 litres');
  await editor.press('Enter');

  // Nobody's words are lost: the edit superseded what its author saw, and that was 'milk'.
  const row = ben.page.locator('.row.conflict');
  expect(await ben.versions(row)).toEqual(['goat milk', 'oat milk, 2 litres']);
});

test('an entry that is deleted elsewhere while someone edits it can be kept or let go', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.add('bread');
  await ada.add('milk');
  await expect(ben.rows).toHaveCount(2);

  for (const { text, key, left } of [
    { text: 'milk', key: 'Escape', left: 1 },
    { text: 'bread', key: 'Enter', left: 1 },
  ]) {
    await ada.row(text).locator('.text').click();
    await ben.delete(text);
    await expect(ada.page.locator('.row-hint:visible')).toContainText('Deleted elsewhere');
    await ada.page.locator('.editor').press(key);
    await expect(ada.rows).toHaveCount(left);
    await expect(ben.rows).toHaveCount(left);
  }
  await expect(ben.row('bread')).toBeVisible();
});

test('what peers write is shown as text, and what is no entry is counted, not shown', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  await ada.inSyncWith(1);
  const markup = '<img src=x onerror="document.title=1"><b>bold</b>';
  await ada.page.evaluate(async (markup) => {
    const store = window.gossipstore?.store;
    await store?.set('item/1', { text: markup, done: false });
    for (const [n, value] of [null, 42, 'text', [], { text: 1 }, { text: {}, done: false }].entries()) {
      await store?.set(`item/bad-${n}`, value);
    }
  }, markup);
  await expect(ben.page.locator('#unreadable')).toContainText('6 entries are not shown');
  await expect(ben.rows).toHaveCount(1);
  await expect(ben.row(markup)).toBeVisible();
  await expect(ben.page.locator('#list img')).toHaveCount(0);
  await expect(ben.page).toHaveTitle('shopping · GossipStore');
});

test('the link can be shared, and whoever opens it shares the list', async ({ join, relay }) => {
  const ada = await join('Ada', { fragment: `#list=shopping&relay=${relay.address()}` });
  await ada.add('milk');
  await ada.page.getByRole('button', { name: 'Share' }).click();
  await expect(ada.page.getByText('Link copied')).toBeVisible();
  const link = await ada.page.evaluate(() => navigator.clipboard.readText());
  const ben = await join('Ben', { fragment: new URL(link).hash });
  await expect(ben.row('milk')).toBeVisible();
  await expect(ben.page).toHaveTitle('shopping · GossipStore');
});

test('everything can be done with the keyboard', async ({ join }) => {
  const ada = await join('Ada', { fragment: '' });
  const press = (key: string) => ada.page.keyboard.press(key);
  await expect(ada.newText).toBeFocused();
  await ada.page.keyboard.type('milk');
  await press('Enter');
  await expect(ada.row('milk')).toBeVisible();
  await expect(ada.newText).toBeFocused();

  await press('Tab'); // Add
  await press('Tab'); // the tick
  await press('Space');
  await expect(ada.row('milk').getByRole('checkbox')).toBeChecked();
  await ada.row('milk').locator('.text').focus();
  await press('Enter');
  await ada.page.keyboard.type('oat milk');
  await press('Enter');
  await expect(ada.row('oat milk').locator('.text')).toBeFocused();
  await press('Tab'); // delete
  await press('Enter');
  await expect(ada.rows).toHaveCount(0);
  await expect(ada.newText).toBeFocused();
});

test('a refused write is told on the page, and the tab stays usable', async ({ join }) => {
  const ada = await join('Ada', { fragment: '' });
  await ada.add('bread');
  await ada.page.evaluate(() => window.gossipstore?.store.close());
  await ada.newText.fill('milk');
  await ada.newText.press('Enter');
  await expect(ada.page.getByRole('alert')).toContainText('Not added');
  await expect(ada.newText).toHaveValue('milk');

  // The row goes back to what is true; that no promise was left to fail alone is checked of every page.
  const bread = ada.row('bread');
  const refused = ada.page.getByRole('alert').filter({ hasText: 'Not saved' });
  await bread.getByRole('checkbox').click();
  await expect(refused).toHaveCount(1);
  await expect(bread.getByRole('checkbox')).not.toBeChecked();
  await bread.locator('.text').click();
  await ada.page.locator('.editor').fill('rye bread');
  await ada.page.locator('.editor').press('Enter');
  await expect(refused).toHaveCount(2);
  await expect(bread).toBeVisible();
});
