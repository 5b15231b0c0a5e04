/** Where in a value something is, and what it is, in words for the person who has to find it. */

/** Longer keys and paths are cut in messages. */
const SHOWN_MAX = 200;

const IDENTIFIER = /^[A-Za-z_$][\w$]*$/;

/**
 * The path through `containers` as one would write it in code: `value.items[3].onClick`. The step within a Map counts keys
 * and values in turn: 2n is the nth key, 2n + 1 the nth value.
 */
export function pathOf(containers: readonly object[], steps: readonly (string | number)[]): string {
  let path = 'value';
  for (const [depth, container] of containers.entries()) {
    const step = steps[depth];
    if (step !== undefined) path += stepOf(container, step);
  }
  return path.length > SHOWN_MAX ? `${path.slice(0, SHOWN_MAX / 2)}…${path.slice(-SHOWN_MAX / 2)}` : path;
}

function stepOf(container: object, step: string | number): string {
  if (typeof step === 'string') return IDENTIFIER.test(step) ? `.${step}` : `[${JSON.stringify(cut(step))}]`;
  if (Array.isArray(container)) return `[${step}]`;
  if (container instanceof Map) {
    const index = step >> 1;
    if (step % 2 === 0) return `.keys()[${index}]`;
    const key = [...container.keys()][index];
    return typeof key === 'string' ? `.get(${JSON.stringify(cut(key))})` : `.values()[${index}]`;
  }
  return `.values()[${step}]`;
}

function cut(text: string): string {
  return text.length > SHOWN_MAX ? `${text.slice(0, SHOWN_MAX)}…` : text;
}

/** What a value that cannot be stored is, and what to do instead. */
export function describe(value: unknown): { what: string; remedy: string } {
  if (typeof value === 'function') return { what: 'a function', remedy: 'keep functions in code and store plain data' };
  if (typeof value === 'symbol') return { what: 'a symbol', remedy: 'store a string instead' };
  try {
    return describeObject(value as { constructor?: { name?: unknown }; nodeType?: unknown; then?: unknown });
  } catch {
    // A proxy or a getter that throws when it is looked at.
    return { what: 'an object that cannot be looked into', remedy: 'store a plain object' };
  }
}

function describeObject(value: { constructor?: { name?: unknown }; nodeType?: unknown; then?: unknown }) {
  const given = value.constructor?.name;
  const name = typeof given === 'string' && given !== '' ? cut(given) : undefined;
  if (typeof value.nodeType === 'number') {
    return { what: `a DOM node (${name})`, remedy: 'store what it shows, such as its text' };
  }
  if (typeof value.then === 'function') return { what: 'a promise', remedy: 'await it and store what it resolves to' };
  return {
    what: name === undefined ? 'an object with a prototype of its own' : `an instance of ${name}`,
    remedy: REMEDIES.get(name ?? '') ?? 'store a plain object with the fields that matter',
  };
}

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['WeakMap', 'store a Map'],
  ['WeakSet', 'store a Set'],
  ['WeakRef', 'store what it refers to'],
  ['RegExp', 'store its source and flags'],
  ['Error', 'store its name and message'],
  ['DataView', 'store a Uint8Array of its bytes'],
  ['SharedArrayBuffer', 'store a copy: new Uint8Array(buffer).slice()'],
  ['Blob', 'store its bytes: await blob.arrayBuffer()'],
  ['File', 'store its name and its bytes: await file.arrayBuffer()'],
  ['Float16Array', 'store a Float32Array: not every browser has Float16Array'],
  ['Number', 'store the number that it holds: valueOf()'],
  ['String', 'store the string that it holds: valueOf()'],
  ['Boolean', 'store the boolean that it holds: valueOf()'],
]);
