// A large list arrives at once, and the page goes on answering the person in front of it.
import { expect, test } from '../world.ts';

const COUNT = 10_000;
/** Drawn in one go it takes two to five seconds. Generous, since other processes' work counts as well. */
const TASK_MS_MAX = 1_000;

interface Watch {
  /** How long the page did not answer, each time it was more than 50 ms; not every browser says. */
  longTasks: number[];
  /** How many rows there were when a key pressed meanwhile had its effect. */
  rowsWhenTyped?: number;
  /** What the bar read. */
  bar: number[];
  /** The first row, whenever some were drawn. */
  tops: Set<string>;
}

declare global {
  interface Window {
    watch: Watch;
  }
}

/** Watches the page from its beginning; nothing here waits for anything. */
function watch(): void {
  const noted: Watch = { longTasks: [], bar: [], tops: new Set() };
  window.watch = noted;
  if (PerformanceObserver.supportedEntryTypes.includes('longtask')) {
    new PerformanceObserver((entries) => {
      for (const { duration } of entries.getEntries()) noted.longTasks.push(Math.round(duration));
    }).observe({ type: 'longtask', buffered: true });
  }
  document.addEventListener('DOMContentLoaded', () => {
    const list = document.querySelector('#list') as HTMLElement;
    new MutationObserver(() => {
      noted.tops.add(list.querySelector('.text')?.textContent ?? '');
    }).observe(list, { childList: true, subtree: true });
    const bar = document.querySelector('progress') as HTMLProgressElement;
    new MutationObserver(() => {
      if (!bar.hidden) noted.bar.push(bar.value);
    }).observe(bar, { attributes: true });
    document.querySelector('#new-text')?.addEventListener('input', () => {
      noted.rowsWhenTyped ??= list.querySelectorAll('.row').length;
    });
  });
}

test(`${COUNT} entries arrive, and the page answers meanwhile`, async ({ join }, info) => {
  test.setTimeout(180_000);
  const ada = await join('Ada');
  await ada.page.evaluate(async (count) => {
    const entries = Array.from({ length: count }, (_, n): [string, unknown] => [
      `item/${String(n).padStart(5, '0')}`,
      { text: `entry ${n}`, done: false },
    ]);
    await window.gossipstore?.store.setMany(entries);
  }, COUNT);
  await expect(ada.page.locator('#count')).toHaveText(`${COUNT} of ${COUNT} open`, { timeout: 60_000 });

  const ben = await join('Ben', { before: watch });
  const bar = ben.page.getByRole('progressbar');
  await ben.rows.first().waitFor();
  await ben.newText.press('x');
  // In the page, since asking over and over from outside is work for the page, too.
  await ben.page.evaluate(
    (count) =>
      new Promise<void>((resolve) => {
        const counted = document.querySelector('#count') as HTMLElement;
        const look = () => counted.textContent === `${count} of ${count} open` && resolve();
        new MutationObserver(look).observe(counted, { childList: true, characterData: true, subtree: true });
        look();
      }),
    COUNT,
  );
  const noted = await ben.page.evaluate(() => ({ ...window.watch, tops: [...window.watch.tops] }));
  await expect(ben.rows).toHaveCount(COUNT);
  await expect(bar).toBeHidden();

  info.annotations.push({ type: 'tasks of more than 50 ms', description: noted.longTasks.join(', ') || 'none' });
  expect(Math.max(0, ...noted.longTasks)).toBeLessThan(TASK_MS_MAX);
  expect(noted.rowsWhenTyped).toBeLessThan(COUNT);
  expect(noted.bar.length).toBeGreaterThan(0);
  // The newest first: what a person looks at is not pushed down by each entry that follows. It may come in a few portions.
  expect(noted.tops.at(-1)).toBe(`entry ${COUNT - 1}`);
  expect(noted.tops.length).toBeLessThan(10);
});

test('who types between rows goes on typing, however many entries come between', async ({ join }) => {
  const [ada, ben] = [await join('Ada'), await join('Ben')];
  for (const [key, text] of [
    ['item/a', 'lowest'],
    ['item/z', 'highest'],
  ]) {
    await ada.page.evaluate(
      ([key, text]) => window.gossipstore?.store.set(key as string, { text, done: false }),
      [key, text],
    );
  }
  for (const [n, text] of ['lowest', 'highest'].entries()) {
    await ben.row(text).locator('.text').click();
    const editor = ben.page.locator('.editor');
    await editor.fill(`${text} of`);
    // More than rows lie together in a group: it is split around whoever types.
    await ada.page.evaluate(async (n) => {
      const entries = Array.from({ length: 300 }, (_, m): [string, unknown] => [
        `item/m${n}${m}`,
        { text: 'between', done: false },
      ]);
      await window.gossipstore?.store.setMany(entries);
    }, n);
    await expect(ben.rows).toHaveCount(2 + 300 * (n + 1));
    await expect(editor).toBeFocused();
    await editor.pressSequentially(' all');
    await editor.press('Enter');
    await expect(ada.row(`${text} of all`)).toBeVisible();
  }
  const keys = await ben.rows.evaluateAll((rows) => rows.map((row) => row.getAttribute('data-key')));
  expect(keys).toEqual([...keys].sort().reverse());
});
