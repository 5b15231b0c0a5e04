// gossipsub between the two, over the direct connection.
import { DIRECTIONS, expect, test } from '../world.ts';

const TOPIC = 'interop';

/** Those that fit into one message of a data channel, and those that do not. */
const SIZES = [0, 32, 50_000, 1];

for (const direction of DIRECTIONS) {
  test.describe(`${direction.dialler} dials ${direction.listener}`, () => {
    test.use({ ...direction, gossips: true });

    test('messages go both ways', async ({ pair: { dialler, listener } }) => {
      const sides = [
        [dialler, listener],
        [listener, dialler],
      ] as const;
      for (const [side] of sides) await side.peer.subscribe(TOPIC);
      for (const [side, other] of sides) await side.peer.subscribed(other.id, TOPIC);
      for (const bytes of SIZES) {
        for (const [from, to] of sides) {
          await from.peer.publish(TOPIC, bytes);
          expect(await to.peer.message()).toBe(bytes);
        }
      }
    });
  });
}
