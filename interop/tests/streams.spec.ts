// Streams of a direct connection: what goes through them, how they end, and that nothing of them is left.
import { DIRECTIONS, expect, noStreamIsLeft, type Pair, type Side, stream, test } from '../world.ts';

/** Far more than both browsers, and both sides' buffers, hold at once. */
const BULK_BYTES = 10_000_000;

/** More than a test has the time for. */
const ENDLESS_BYTES = 2_000_000_000;

/** Both ways to open streams on a connection. */
function bothWays({ dialler, listener }: Pair): [from: Side, to: Side][] {
  return [
    [dialler, listener],
    [listener, dialler],
  ];
}

for (const direction of DIRECTIONS) {
  test.describe(`${direction.dialler} dials ${direction.listener}`, () => {
    test.use(direction);

    test('bulk arrives whole, and half of a stream goes on when the other half has ended', async ({ pair }) => {
      for (const [from, to] of bothWays(pair)) {
        const [ours, theirs] = await stream(from, to);
        const question = to.peer.readToEnd(theirs);
        await from.peer.write(ours, BULK_BYTES);
        await from.peer.finish(ours);
        expect(await question).toBe(BULK_BYTES);

        const answer = from.peer.readToEnd(ours);
        await to.peer.write(theirs, BULK_BYTES - 1);
        await to.peer.finish(theirs);
        expect(await answer).toBe(BULK_BYTES - 1);
      }
      await noStreamIsLeft(2, pair.dialler, pair.listener);
    });

    test('bulk goes both ways at once', async ({ pair: { dialler, listener } }) => {
      const [ours, theirs] = await stream(dialler, listener);
      const received = Promise.all([dialler.peer.readToEnd(ours), listener.peer.readToEnd(theirs)]);
      await Promise.all([dialler.peer.write(ours, BULK_BYTES), listener.peer.write(theirs, BULK_BYTES - 1)]);
      await Promise.all([dialler.peer.finish(ours), listener.peer.finish(theirs)]);
      expect(await received).toEqual([BULK_BYTES - 1, BULK_BYTES]);
      await noStreamIsLeft(1, dialler, listener);
    });

    test('five hundred streams in a row, from either side', async ({ pair }) => {
      for (const [from, to] of bothWays(pair)) expect(await from.peer.echoes(to.id, 500, 1)).toBe(500);
      await noStreamIsLeft(1_000, pair.dialler, pair.listener);
    });

    test('a hundred streams at once, from both sides', async ({ pair }) => {
      const echoes = bothWays(pair).map(([from, to]) => from.peer.echoes(to.id, 100, 100));
      expect(await Promise.all(echoes)).toEqual([100, 100]);
      await noStreamIsLeft(200, pair.dialler, pair.listener);
    });

    test('who wants no more says so, and the stream ends well', async ({ pair }) => {
      for (const [from, to] of bothWays(pair)) {
        const [ours, theirs] = await stream(from, to);
        await from.peer.finish(ours);
        expect(await to.peer.readToEnd(theirs)).toBe(0);
        await from.peer.stopReading(ours);
        // In Rust writing ends as soon as this is known; js-libp2p writes on, to nobody.
        const written = expect(to.peer.write(theirs, to.kind === 'rust' ? ENDLESS_BYTES : BULK_BYTES));
        if (to.kind === 'rust') await written.rejects.toThrow('the other side reads no more');
        else await written.resolves.toBe(undefined);
        await to.peer.finish(theirs);
        await noStreamIsLeft(1, from, to);
      }
    });

    for (const resets of ['who opened it', 'the other'] as const) {
      test(`a reset by ${resets} is a reset for the other side`, async ({ pair }) => {
        for (const [from, to] of bothWays(pair)) {
          const [ours, theirs] = await stream(from, to);
          const [resetting, its, waiting, number] =
            resets === 'who opened it' ? [from, ours, to, theirs] : [to, theirs, from, ours];
          await resetting.peer.write(its, 1_000);
          const ended = expect(waiting.peer.readToEnd(number)).rejects.toThrow('the other side reset the stream');
          await resetting.peer.reset(its);
          await ended;
          await expect(waiting.peer.write(number, 1)).rejects.toThrow();
          await noStreamIsLeft(1, from, to);
          expect(await from.peer.echoes(to.id, 1, 1)).toBe(1);
        }
      });
    }
  });
}
