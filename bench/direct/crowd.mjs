/** Many tabs in one store: how long until a write of each has reached all, and how many connections a tab holds. */

export async function crowd(world, count) {
  const tabs = [];
  for (let n = 0; n < count; n += 1) tabs.push(await world.tab('crowd'));
  for (const tab of tabs) {
    await tab.waitForFunction(
      () => {
        const { peers } = window.store.status;
        return peers.length >= 6 && peers.every(({ path, inSync }) => path === 'direct' && inSync);
      },
      undefined,
      { polling: 100 },
    );
  }
  const spread = [];
  for (const [n, writer] of tabs.entries()) {
    const seen = tabs.map((tab) =>
      tab.evaluate(
        (key) =>
          new Promise((resolve) => {
            (async () => {
              for await (const change of window.store.changes({ prefix: key })) {
                resolve(performance.timeOrigin + performance.now());
                if (change) break;
              }
            })();
            window.listening = key;
          }),
        `write/${n}/`,
      ),
    );
    for (const tab of tabs) await tab.waitForFunction((key) => window.listening === key, `write/${n}/`);
    const start = await writer.evaluate((key) => {
      const now = performance.timeOrigin + performance.now();
      window.store.set(key, 1);
      return now;
    }, `write/${n}/x`);
    spread.push(Math.max(...(await Promise.all(seen))) - start);
  }
  const connections = await Promise.all(tabs.map((tab) => tab.evaluate(() => window.store.status.peers.length)));
  for (const tab of tabs) await tab.context().close();
  return { spread, connections };
}
