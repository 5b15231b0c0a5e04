/** Single writes, each waited for: how many are stored a second. */

/** How long each run writes, in ms. */
const RUN_MS = 1_000;

/** Returns, by contender, the writes a second of each run: one at a time, and with `inFlight` of them waited for at any time. */
export async function rates(world, runs, inFlight) {
  const visits = new Map();
  const rates = { single: world.lists(), many: world.lists() };
  try {
    for (const contender of world.contenders) visits.set(contender, await world.profile().visit(contender));
    await world.rounds(runs, async (contender) => {
      const visit = visits.get(contender);
      rates.single[contender.name].push(await visit.ask('rate', 1, RUN_MS));
      rates.many[contender.name].push(await visit.ask('rate', inFlight, RUN_MS));
    });
    return rates;
  } finally {
    for (const visit of visits.values()) await visit.leave();
  }
}
