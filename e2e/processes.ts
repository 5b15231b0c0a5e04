// The processes of a browser, as Linux lists them.
import { readdirSync, readFileSync } from 'node:fs';

/**
 * Kills a browser as a crash of the machine would: all its processes at once, without a word to any.
 * @param folder its profile's, by which it is told from every other
 */
export function killBrowser(folder: string): void {
  // It leads a group of all its processes: Playwright starts it so.
  for (const leader of leadersWith(folder)) process.kill(-leader, 'SIGKILL');
}

/** The processes that were started with this folder as an argument and lead a group. */
function leadersWith(folder: string): number[] {
  const found = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const words = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
        if (!words.some((word) => word === folder || word.endsWith(`=${folder}`))) return false;
        // Behind the name, which stands in brackets and may hold anything: state, parent, group.
        const [, , group] = readFileSync(`/proc/${pid}/stat`, 'utf8')
          .replace(/^.*\) /s, '')
          .split(' ');
        return Number(group) === pid;
      } catch {
        // It has ended meanwhile.
        return false;
      }
    });
  if (found.length === 0) throw new Error(`no browser runs on the profile ${folder}`);
  return found;
}
