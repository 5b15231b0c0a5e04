// How the two come to be connected directly, and how that ends.
import { DIRECTIONS, expect, type Side, stream, test } from '../world.ts';

/** js-libp2p keeps 10 until it is ready for streams; some of them are libp2p's own. */
const EARLY_STREAMS = 6;

for (const direction of DIRECTIONS) {
  test.describe(`${direction.dialler} dials ${direction.listener}`, () => {
    test.use(direction);

    test('both hold the connection for direct, and open streams on it', async ({ pair: { dialler, listener } }) => {
      expect(await dialler.peer.paths(listener.id)).toContain('direct');
      expect(await listener.peer.paths(dialler.id)).toContain('direct');
      expect(await dialler.peer.echoes(listener.id, 1, 1)).toBe(1);
      expect(await listener.peer.echoes(dialler.id, 1, 1)).toBe(1);
    });

    test('streams that are opened as soon as the dialler is connected arrive', async ({ start, relay }) => {
      const listener = await start(direction.listener, { relay });
      const dialler = await start(direction.dialler, {});
      const asked = [await listener.peer.address(), listener.id, EARLY_STREAMS] as const;
      const echoes = dialler.page.evaluate(async ([address, id, count]) => {
        await window.peer?.dial(address);
        return window.peer?.echoes(id, count, count);
      }, asked);
      expect(await echoes).toBe(EARLY_STREAMS);
    });

    for (const closes of ['dialler', 'listener'] as const) {
      test(`when the ${closes} closes, the other hears of it`, async ({ pair }) => {
        await close(pair[closes], closes === 'dialler' ? pair.listener : pair.dialler);
      });
    }
  });
}

async function close(closing: Side, other: Side): Promise<void> {
  const [, theirs] = await stream(closing, other);
  // What the browser has said of the connection by the time that the peer in it has heard.
  const heard = other.page.evaluate(
    async ([kind, id, stream]) => {
      // js-libp2p's streams end at once, but not its connection: it looks at the browser's `connectionState` alone, which does
      // not tell a close of the other side from a silence. Between two of its own it is the same.
      if (kind === 'js') await window.peer?.readToEnd(stream).catch(() => {});
      else await window.peer?.disconnected(id);
      return window.census.states();
    },
    [other.kind, closing.id, theirs] as const,
  );
  await closing.peer.disconnect(other.id);
  expect(await heard).toEqual(['connecting', 'connected']);
  await closing.peer.disconnected(other.id);
  await other.peer.disconnected(closing.id);
}
