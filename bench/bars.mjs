/** The bars that a bench has set itself, and what was measured, as Markdown. */

/** A measured figure as it is printed. */
export const number = (value) => (value >= 100 ? value.toFixed(0) : value.toFixed(2));

/**
 * The table of the bars, each as what it is about, its bound and what was measured; where that is to be reached and not to be kept to, with
 * `'at least'` behind. Gives with it how many fall short.
 */
export function barTable(bars) {
  const judged = bars.map(([what, bound, measured, sense]) => {
    const holds = sense ? measured >= bound : measured <= bound;
    const verdict = holds ? 'holds' : '**falls short**';
    return { holds, row: `| ${what} | ${sense ? '≥' : '≤'} ${bound} | ${number(measured)} | ${verdict} |` };
  });
  const table = ['| bar | | measured | |', '|---|---:|---:|---|', ...judged.map(({ row }) => row)].join('\n');
  return { table, short: judged.filter(({ holds }) => !holds).length };
}
