/** "Did you mean": the known word nearest to a misspelled one. */

/** Longer words are not misspellings of ours, and the cost of measuring is quadratic. */
const WORD_LENGTH_MAX = 64;

/**
 * The candidate nearest to `word`, the first of equals. Undefined if none is near: at most one slip in a
 * word of up to four letters, two in one of up to eight, three in a longer one. A slip is a letter that
 * is missing, added, wrong, or swapped with its neighbour. Case does not count: `WHOAMI` finds `whoami`.
 */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > WORD_LENGTH_MAX) return undefined;
  const wanted = word.toLowerCase();
  let slipsMax = 3;
  if (word.length <= 8) slipsMax = 2;
  if (word.length <= 4) slipsMax = 1;
  let best: string | undefined;
  for (const candidate of candidates) {
    if (Math.abs(candidate.length - wanted.length) > slipsMax) continue;
    const slips = distance(wanted, candidate.toLowerCase());
    if (slips > slipsMax) continue;
    best = candidate;
    slipsMax = slips - 1;
    if (slips === 0) break;
  }
  return best;
}

/** Optimal string alignment: Levenshtein's distance, where a swap of neighbours counts once. */
function distance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const wrong = a[i - 1] === b[j - 1] ? 0 : 1;
      let least = Math.min(last[j]! + 1, row[j - 1]! + 1, last[j - 1]! + wrong);
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
        least = Math.min(least, beforeLast[j - 2]! + 1);
      }
      row.push(least);
    }
    beforeLast = last;
    last = row;
  }
  return last[b.length]!;
}
