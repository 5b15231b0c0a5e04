// A machine that sleeps, as when its lid is closed: nothing runs there, and the others hear nothing of it.
import { launchSleeper } from '../browsers.ts';
import { expect, test } from '../world.ts';

test('one who slept until the others gave them up is back within five seconds of waking', async ({
  join,
  playwright,
}) => {
  const machine = await launchSleeper(playwright.chromium);
  const [ada, ben] = [await join('Ada', { browser: machine.browser }), await join('Ben')];
  await Promise.all([ada.directlyWith(1), ben.directlyWith(1)]);
  machine.sleep();
  try {
    await expect(ben.badge).toHaveAttribute('data-peers', '0', { timeout: 45_000 });
    await ben.add('while Ada slept');
  } finally {
    machine.wake();
  }
  await expect(ada.row('while Ada slept')).toBeVisible({ timeout: 5_000 });
  await Promise.all([ada.directlyWith(1), ben.directlyWith(1)]);
  await ada.add('awake');
  await expect(ben.row('awake')).toBeVisible();
});
