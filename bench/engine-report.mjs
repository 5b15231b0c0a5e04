/** The figures of one run of `engine.mjs` as Markdown: the bars first, then what they rest on. */

/** Bytes of each key with its value, and what an event may take beside them. */
const PAYLOAD = { keyAndValue: 12 + 50, event: 16 };
const KINDS = ['insert', 'overwrite', 'delete', 'mixed'];

const whole = (number) => Math.round(number).toLocaleString('en');
const fine = (number) => number.toLocaleString('en', { maximumFractionDigits: 2 });
const time = (millis) => (millis < 1 ? `${rounded(millis * 1e3)} µs` : `${rounded(millis)} ms`);
const rounded = (number) => (Math.abs(number) < 10 ? fine(number) : whole(number));

/** Gives the report, and how many bars are not reached. */
export function report({ machine, load, command, rates, memory, figures, others }) {
  const bars = [
    ...sessionBars(figures.sessions),
    ...otherBars(figures.sessions, others),
    ...rateBars(rates),
    ...storeBars(figures, memory),
  ];
  const short = bars.filter(({ holds }) => !holds).length;
  const sections = [
    heading(machine, load, command),
    section(
      'The bars',
      'What the project has set itself, and what was measured.',
      ['bar', 'to reach', 'measured', ''],
      bars.map(({ what, toReach, measured, holds }) => [what, toReach, measured, holds ? 'holds' : '**falls short**']),
    ),
    sessionSection(figures.sessions),
    othersSection(figures, others),
    section(
      'Rates',
      'One thread; medians. A put is a transaction of its own: made, gossiped, handed to storage and answered.',
      ['what', 'time of all', 'a second'],
      rates.map(({ group, name, nanoseconds, count }) => [
        `${group}: ${name}`,
        time(nanoseconds / 1e6),
        count === undefined ? '' : whole((count * 1e9) / nanoseconds),
      ]),
    ),
    section(
      'Steps',
      'How long the engine holds its thread at a time, in a store of a million keys. Each step counts with the shortest of three rounds.',
      ['work', 'steps', 'longest, ms', 'at', 'all, ms'],
      figures.steps.map(({ work, steps, longestMillis, longest, totalMillis }) => [
        work,
        whole(steps),
        rounded(longestMillis),
        longest,
        whole(totalMillis),
      ]),
    ),
    memorySection(memory),
    authorsSection(figures.authors, memory.authors),
  ];
  return { text: `${sections.join('\n\n')}\n`, short };
}

function heading(machine, load, command) {
  return `# What the engine costs

Keys of 12 bytes, values of 50 random bytes. Bytes are exact and the same on every machine: both ways, with the length that a link
adds to each frame as a varint; \`core/tests/cost.rs\` holds them. Times are the processor's, of one thread; what else a machine does slows
that thread all the same.

* machine: ${machine}; load ${fine(load)} when it began
* command: \`${command}\``;
}

function section(title, words, header, rows) {
  const line = (cells) => `| ${cells.join(' | ')} |`;
  const rule = header.map((cell, at) => (at === 0 || cell === '' ? '---' : '---:'));
  return [`## ${title}`, '', words, '', line(header), `|${rule.join('|')}|`, ...rows.map(line)].join('\n');
}

const atMost = (what, bar, measured, unit = '') => ({
  what,
  toReach: `≤ ${rounded(bar)}${unit}`,
  measured: `${rounded(measured)}${unit}`,
  holds: measured <= bar,
});

const atLeast = (what, bar, measured) => ({
  what,
  toReach: `≥ ${rounded(bar)}`,
  measured: rounded(measured),
  holds: measured >= bar,
});

function sessionBars(sessions) {
  const kept = sessions.filter(({ ring }) => ring === 'kept');
  const share = (kinds, bound) => {
    const shares = kept.filter(({ kind }) => kinds.includes(kind)).map((row) => row.bytes / bound(row.changes));
    return 100 * Math.max(...shares);
  };
  const put = (changes) => 1.1 * (PAYLOAD.keyAndValue + PAYLOAD.event) * changes + 400;
  const trips = Math.max(...kept.map(({ roundTrips }) => roundTrips));
  const equal = Math.max(...kept.filter(({ changes }) => changes === 0).map(({ bytes }) => bytes));
  return [
    atMost('inserts or overwrites, of 1.1 × 78 d + 400 bytes', 100, share(['insert', 'overwrite'], put), ' %'),
    atMost(
      'deletes, of 8 d + 400 bytes',
      100,
      share(['delete'], (changes) => 8 * changes + 400),
      ' %',
    ),
    atMost('any of them, round trips', 1, trips),
    atMost('equal stores, bytes', 400, equal),
  ];
}

/** The sessions that the others were given too. */
function shared(sessions, { rows }) {
  const mixed = sessions.filter(({ kind, order, ring }) => `${kind} ${order} ${ring}` === 'mixed scattered kept');
  return mixed.flatMap(({ keys, changes, bytes }) => {
    const of = (name) => rows.find((row) => row.store === name && row.keys === keys && row.changes === changes);
    return of('yjs') ? [{ keys, changes, ours: bytes, yjs: of('yjs').bytes, loro: of('loro').bytes }] : [];
  });
}

function otherBars(sessions, others) {
  return shared(sessions, others).map(({ keys, changes, ours, yjs, loro }) =>
    atMost(
      `mixed, ${whole(changes)} of ${whole(keys)} keys, bytes of the better of Yjs and Loro`,
      Math.min(yjs, loro),
      ours,
    ),
  );
}

function rateBars(rates) {
  const rate = (group, name) => {
    const { count, nanoseconds } = rates.find((rate) => rate.group === group && rate.name === name);
    return (count * 1e9) / nanoseconds;
  };
  return [
    atLeast('puts of new keys a second, 100,000 keys', 1_000_000, rate('put', 'new')),
    atLeast('puts over keys a second, 100,000 keys', 1_000_000, rate('put', 'overwrite')),
    atLeast('gets a second, 100,000 keys', 3_000_000, rate('get', 'present')),
  ];
}

function storeBars({ steps, together, history }, memory) {
  const fresh = steps.find(({ work }) => work.startsWith('a fresh replica'));
  const longest = steps.reduce((longest, step) => (step.longestMillis > longest.longestMillis ? step : longest));
  return [
    atMost('a fresh replica takes in 1,000,000 keys, ms', 3_000, fresh.totalMillis),
    atMost('two that wrote the same 100,000 keys join, ms', 250, together.millis),
    atMost('index a key, of 1,000,000, bytes', 120, Math.max(memory.keys.index, memory.keys.takenInIndex)),
    // Less than half a byte is what the allocator's few large blocks differ by.
    atMost('held a key when all are deleted, bytes', 0, Math.round(memory.keys.deleted)),
    atMost('worn store, of one written once, bytes', 1.05 * history.onceBytes, history.wornBytes),
    atMost(`longest step (${longest.work}), ms`, 8, longest.longestMillis),
  ];
}

function sessionSection(sessions) {
  const rows = new Map();
  for (const { keys, changes, order, kind, ring, bytes, roundTrips } of sessions) {
    const name = [whole(keys), whole(changes), changes === 0 ? '' : order];
    const row = rows.get(name.join()) ?? { name, cells: {} };
    rows.set(name.join(), row);
    // What is lacking comes in one round trip, if nothing else is said.
    row.cells[`${kind} ${ring}`] = `${whole(bytes)}${roundTrips > 1 ? ` in ${roundTrips}` : ''}`;
  }
  const columns = ['kept', 'lost'].flatMap((ring) => KINDS.map((kind) => `${kind} ${ring}`));
  return section(
    'Sessions',
    `Bytes after d changes at one of two equal replicas of n keys; mixed are eight overwrites, one delete and one insert of ten.
*Lost*: the changed replica keeps no records of dead events, and every change has left one. What is lacking is there after one round
trip, unless the number of them follows.`,
    ['n', 'd', '', ...KINDS, ...KINDS.map((kind) => `${kind}, lost`)],
    [...rows.values()].map(({ name, cells }) => [...name, ...columns.map((column) => cells[column] ?? '')]),
  );
}

function othersSection({ sessions, together }, others) {
  const { yjs, loro } = others.versions;
  const joined = (figures) => (figures ? `${whole(figures.bytes)} in ${time(figures.millis)}` : 'not within a minute');
  return section(
    'Beside Yjs and Loro',
    `The same mixed changes, scattered, in bytes both ways. Yjs ${yjs} (a top-level \`Y.Map\`, state vectors, the smaller of both encodings)
and Loro ${loro} (version vectors, updates since) without what would carry their messages. The engine is native code here, Yjs
JavaScript, Loro wasm in node.`,
    ['', 'GossipStore', 'Yjs', 'Loro'],
    [
      ...shared(sessions, others).map(({ keys, changes, ours, yjs, loro }) => [
        `${whole(changes)} changes of ${whole(keys)} keys`,
        ...[ours, yjs, loro].map(whole),
      ]),
      [
        `${whole(together.keys)} keys, written by both`,
        ...[together, others.together.yjs, others.together.loro].map(joined),
      ],
    ],
  );
}

function memorySection({ keys, ring }) {
  return section(
    'Memory',
    `As asked of the allocator, a key of ${whole(keys.count)}, beyond the 62 bytes of key and value, without records of dead events.`,
    ['', 'bytes'],
    [
      ['a key that was written here', fine(keys.index)],
      ['a key that a session brought', fine(keys.takenInIndex)],
      ['held a key when all are deleted', fine(keys.deleted)],
      ['held more a key when as many more have come and gone', fine(keys.deletedAgain)],
      [`the record ring, full (${whole(ring.records)} records), in all`, whole(ring.bytes)],
    ],
  );
}

function authorsSection(sessions, memory) {
  const meeting = ({ bytes, millis }) => `${whole(bytes)} in ${time(millis)}`;
  return section(
    'Many authors',
    `100,000 keys that so many authors wrote, known to two replicas by gossip; then sessions after ${sessions[0].changes} overwrites at one.`,
    ['authors', 'first meeting, bytes', 'later meeting, bytes', 'longest step, ms', 'memory an author, bytes'],
    sessions.map(({ authors, first, later }, at) => [
      whole(authors),
      meeting(first),
      meeting(later),
      rounded(Math.max(first.longestMillis, later.longestMillis)),
      whole(memory[at].bytes),
    ]),
  );
}
