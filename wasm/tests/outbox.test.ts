/** The calls of a tab on their way to whoever has the store: in order, named where they may be asked for twice, once more to the next. */
import { describe, expect, it } from 'vitest';
import type { Failure } from '../ts/host.js';
import { Outbox, type Outgoing } from '../ts/outbox.js';

const write = (key: string) => ({ call: 'transact' as const, keys: [key], values: [null] });
const read = (key: string) => ({ call: 'has' as const, key });
const lost: Failure = { code: 'Superseded', message: 'lost' };

/** An outbox whose calls go into a list. */
function sending(named = true) {
  const outbox = new Outbox(7);
  const sent: Outgoing[] = [];
  const route = () => outbox.route({ named: () => named, send: (call) => sent.push(call) });
  route();
  return { outbox, sent, route };
}

/** What was sent: the key, and the number if it is named. */
function told({ request }: Outgoing): string {
  const key = request.call === 'transact' ? request.keys[0] : request.call === 'has' ? request.key : request.call;
  const n = request.call === 'transact' ? request.carried?.n : undefined;
  return n === undefined ? `${key}` : `${key} ${n}`;
}

describe('calls', () => {
  it('go out in order, wait while there is no way, and are answered', async () => {
    const outbox = new Outbox(7);
    const sent: Outgoing[] = [];
    const first = outbox.ask(write('a'));
    const second = outbox.ask(read('a'));
    outbox.route({ named: () => true, send: (call) => sent.push(call) });
    expect(sent.map(told)).toEqual(['a 1', 'a']);
    outbox.replied(sent[1]?.id ?? 0, true);
    outbox.failed(sent[0]?.id ?? 0, lost);
    expect(await second).toBe(true);
    await expect(first).rejects.toBe(lost);
    await outbox.empty();
  });

  it('go out again, with their names, before those that came later', () => {
    const { outbox, sent, route } = sending();
    for (const key of ['a', 'b']) void outbox.ask(write(key));
    void outbox.ask(read('c'));
    outbox.replied(sent[0]?.id ?? 0, undefined);
    outbox.sendAgain(lost);
    void outbox.ask(write('d'));
    sent.length = 0;
    route();
    expect(sent.map(told)).toEqual(['b 2', 'c', 'd 3']);
  });

  it('without a name fail instead, unless they only read', async () => {
    const { outbox, sent, route } = sending(false);
    const written = outbox.ask(write('a'));
    void outbox.ask(read('b'));
    outbox.sendAgain(lost);
    await expect(written).rejects.toBe(lost);
    sent.length = 0;
    route();
    expect(sent.map(told)).toEqual(['b']);
  });

  it('with names are never more than 64 numbers ahead of the oldest without an answer, nor are reads behind them', () => {
    const { outbox, sent } = sending();
    for (let n = 0; n < 70; n += 1) void outbox.ask(write(`${n}`));
    void outbox.ask(read('last'));
    expect(sent).toHaveLength(64);
    // Not the oldest.
    outbox.replied(sent[5]?.id ?? 0, undefined);
    expect(sent).toHaveLength(64);
    outbox.replied(sent[0]?.id ?? 0, undefined);
    expect(sent).toHaveLength(65);
    for (const { id } of [...sent]) outbox.replied(id, undefined);
    expect(sent.slice(-2).map(told)).toEqual(['69 70', 'last']);
  });
});
