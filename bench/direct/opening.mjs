/** From the navigation of a tab to its direct connection with one that is there already. */

import { directly } from './world.mjs';

export async function opening(world, runs) {
  const first = await world.tab('opening');
  await first.waitForFunction(() => window.reached.relay !== undefined);
  const reached = [];
  for (let run = 0; run < runs; run += 1) {
    const tab = await world.tab('opening');
    await directly(tab, 1);
    reached.push(await tab.evaluate(() => window.reached));
    await tab.context().close();
    await directly(first, 0);
  }
  await first.context().close();
  return reached;
}
