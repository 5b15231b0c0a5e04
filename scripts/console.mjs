// How the scripts run other programs and speak to the person in front of them: every long step shows that it lives, every
// failure shows the end of what the program said, and the remedy.
import { spawn } from 'node:child_process';
import { realpathSync } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { childEnv, ROOT } from './paths.mjs';

/** Without a terminal, a quiet step says this often that it is still at work. */
const HEARTBEAT_MS = 30_000;
/** How often the line of a running step is redrawn in a terminal. */
const REDRAW_MS = 200;
/** How long a program that took too long may take to end after it was asked to; then it is killed. */
const END_PATIENCE_MS = 5_000;
/** How much of a quiet program's output is kept, to be shown when it fails. */
const TAIL_LINES_MAX = 60;

const tty = process.stdout.isTTY === true && !process.env.CI;
const colour = (code, text) => (process.stdout.isTTY && !process.env.NO_COLOR ? `\x1b[${code}m${text}\x1b[0m` : text);
export const bold = (text) => colour('1', text);
export const dim = (text) => colour('2', text);
export const green = (text) => colour('32', text);
export const red = (text) => colour('31', text);

/** An error whose message is all that the person needs: shown without a stack. */
export class Failure extends Error {
  /**
   * @param {string} message what went wrong
   * @param {string} [remedy] what to do about it
   */
  constructor(message, remedy) {
    super(remedy ? `${message}\n  → ${remedy}` : message);
  }
}

/** Milliseconds as `7.3 s` or `2:05 min`. */
export function duration(ms) {
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')} min`;
}

/** Bytes as `431 KB`, in powers of 1,000 as browsers' tools do. */
export function kilobytes(bytes) {
  return `${Math.round(bytes / 1000).toLocaleString('en')} KB`;
}

export function heading(text) {
  console.log(`\n${bold(text)}`);
}

/** Every child still running, so that an interrupted script leaves none behind. */
const children = new Set();
/** Those that lead a group. */
const groups = new WeakSet();

/** @param {import('node:child_process').ChildProcess} child */
function track(child) {
  children.add(child);
  child.once('close', () => children.delete(child));
  child.once('error', () => children.delete(child));
}

/** Signals a child, and when it leads a group of its own, all that it has started. */
function signal(child, name) {
  if (child.pid === undefined) return;
  try {
    if (groups.has(child) && process.platform !== 'win32') process.kill(-child.pid, name);
    else child.kill(name);
  } catch (error) {
    // It has ended meanwhile.
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Ends a child, at last by force; what still holds its output after that is not waited for. */
function end(child) {
  signal(child, 'SIGTERM');
  const timer = setTimeout(() => {
    signal(child, 'SIGKILL');
    child.stdout?.destroy();
    child.stderr?.destroy();
  }, END_PATIENCE_MS);
  child.once('close', () => clearTimeout(timer));
}

/**
 * Starts a program and returns it; used for what keeps running.
 * @param {string} command
 * @param {string[]} args
 * @param {import('node:child_process').SpawnOptions & { env?: Record<string, string> }} [options]
 */
export function start(command, args, options = {}) {
  const child = spawn(command, args, {
    cwd: ROOT,
    stdio: ['ignore', 'pipe', 'pipe'],
    ...options,
    env: childEnv(options.env),
  });
  track(child);
  if (options.detached) groups.add(child);
  return child;
}

/**
 * Runs a program to its end.
 *
 * `show: true` lets its output through as it comes; otherwise one line tells that it runs, and only a failure shows what it said.
 * @param {string} label what is being done, for the person
 * @param {string} command
 * @param {string[]} args
 * @param {{ cwd?: string, env?: Record<string, string>, show?: boolean, remedy?: string, onLine?: (line: string) => void, mayFail?: boolean, limitMs?: number }} [options]
 * `limitMs`: after this long the program and what it started are ended, and it has failed
 * @returns {Promise<{ code: number, output: string, timedOut: boolean }>} `output` holds both streams
 */
export async function run(label, command, args, options = {}) {
  const { cwd = ROOT, env, show = false, remedy, onLine, mayFail = false, limitMs } = options;
  const began = Date.now();
  const lines = [];
  let output = '';
  let last = '';
  // Its own group, so that what it started can be ended with it.
  const child = start(command, args, { cwd, env, detached: limitMs !== undefined });
  let timedOut = false;
  const limit =
    limitMs === undefined
      ? undefined
      : setTimeout(() => {
          timedOut = true;
          end(child);
        }, limitMs);

  const draw = () => {
    const width = (process.stdout.columns || 100) - 1;
    const text = `  … ${label} ${duration(Date.now() - began)}  ${last}`.slice(0, width);
    process.stdout.write(`\r\x1b[2K${dim(text)}`);
  };
  const beat = () => console.log(dim(`  … ${label}: ${duration(Date.now() - began)}  ${last}`));
  if (show) console.log(dim(`$ ${[command, ...args].join(' ')}`));
  const timer = show ? undefined : setInterval(tty ? draw : beat, tty ? REDRAW_MS : HEARTBEAT_MS);

  const take = (stream, out) => {
    let rest = '';
    stream.setEncoding('utf8');
    stream.on('data', (chunk) => {
      if (show) out.write(chunk);
      output += chunk;
      const parts = (rest + chunk).split(/\r?\n|\r/);
      rest = parts.pop() ?? '';
      for (const line of parts) {
        if (line.trim()) last = line.trim();
        onLine?.(line);
        lines.push(line);
        if (lines.length > TAIL_LINES_MAX) lines.shift();
      }
    });
  };
  take(child.stdout, process.stdout);
  take(child.stderr, process.stderr);

  const code = await new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(
        error.code === 'ENOENT' ? new Failure(`${label}: the program \`${command}\` was not found`, remedy) : error,
      );
    });
    child.once('close', (status, signal) => resolve(timedOut ? 1 : (status ?? (signal ? 1 : 0))));
  }).finally(() => {
    clearInterval(timer);
    clearTimeout(limit);
    if (!show && tty) process.stdout.write('\r\x1b[2K');
  });

  if (timedOut) console.error(red(`✗ ${label}: ended after ${duration(limitMs)}, which is more than it may take`));
  if (code !== 0 && !mayFail) {
    if (!show) console.error(lines.join('\n'));
    throw new Failure(`${label} failed (\`${[command, ...args].join(' ')}\` ended with code ${code})`, remedy);
  }
  if (!show && code === 0) console.log(`  ${green('✓')} ${label} ${dim(duration(Date.now() - began))}`);
  return { code, output, timedOut };
}

/** What a program prints, or `undefined` when it is missing or fails. For short questions such as `--version`. */
export async function ask(command, args) {
  return new Promise((resolve) => {
    const child = start(command, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk) => {
      output += chunk;
    });
    child.once('error', () => resolve(undefined));
    child.once('close', (code) => resolve(code === 0 ? output.trim() : undefined));
  });
}

let onInterruption = (code) => process.exit(code);

/** What to do, after the children were told, when the person presses Ctrl-C; without it the script ends at once. */
export function handleInterruption(handler) {
  onInterruption = handler;
}

/** Runs a script's main function; turns what it throws into an exit code and, for a [`Failure`], into two plain lines. */
export async function main(run) {
  for (const [name, code] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ]) {
    process.on(name, () => {
      for (const child of children) signal(child, name);
      onInterruption(code);
    });
  }
  try {
    process.exitCode = (await run(process.argv.slice(2))) ?? 0;
  } catch (error) {
    console.error(error instanceof Failure ? `\n${red('✗')} ${error.message}` : error);
    process.exitCode = 1;
  }
  // A script that failed half-way leaves nothing running.
  for (const child of children) signal(child, 'SIGTERM');
}

/** Whether this module is the one that was started, not imported by another. */
export function isMain(url) {
  return process.argv[1] !== undefined && url === pathToFileURL(realpathSync(process.argv[1])).href;
}
