/**
 * The English of comments, messages and pages, as far as a machine can see it.
 *
 * Owns:   the table of what is not written, and the words to write instead.
 * Is not: a judge of style: it sees a few habits that have to be translated back by the reader.
 */
import { lineOf } from './source-files.ts';

export interface Phrase {
  readonly line: number;
  readonly found: string;
  readonly cure: string;
  /** How a sentence begins; else a word within it. */
  readonly isOpening: boolean;
}

interface Habit {
  readonly pattern: RegExp;
  readonly cure: string;
}

/** In comments, strings and pages alike. */
const WORDS: readonly Habit[] = [
  // "no more than", "no more queries", "so much and no more" and "there is no more" are English.
  {
    pattern: /(?<!\b(?:and|is|are) )\bno more(?=\s*(?:[.,;:)'"`]|$))/gim,
    cure: 'write "no longer", with the verb',
  },
  { pattern: /\banew\b/gi, cure: 'write "again"' },
  { pattern: /\b(?:to|can|cannot|could|not|must) be had\b/gi, cure: 'write "available"' },
  // "told apart" and "told from a misspelling" are English; ${told} is a variable.
  {
    pattern: /(?<!\$\{)\btold\b(?! (?:apart|from)\b)/gi,
    cure: 'write logged, reported, passed, asked or given',
  },
];

/** Where a sentence begins, in comments and pages. A question may begin with its word. */
const OPENINGS: readonly Habit[] = [
  {
    pattern: /^(?:What|Whoever|Whatever|Whose)\b(?![^.!]*\?)/,
    cure: 'begin with the subject: a noun, or a verb in the third person',
  },
  {
    pattern:
      /^(?:Those(?= (?:who|whom|whose|which|that|of|with|without|in|on|from|under|above|below|after|before|for|we|it)\b)|That(?= (?:which|of)\b))/,
    cure: 'name what is meant: "Queries that ...", "The address that ..."',
  },
];

const SAME_DOCSTRING: Habit = {
  pattern: /^The same\b/,
  cure: 'write "Like X, ...", or say what it is',
};

const STRING = /'(?:\\.|[^'\\\n])*'|"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`/.source;
const COMMENT = /\/\/[^\n]*(?:\n[ \t]*\/\/[^\n]*)*|\/\*[\s\S]*?\*\//.source;
const TEXTS = new RegExp(`${STRING}|${COMMENT}`, 'g');

/** In the comments and strings of a source. */
export function phrasesInSource(text: string): Phrase[] {
  return [...text.matchAll(TEXTS)].flatMap(({ index, 0: found }) => {
    const isComment = found.startsWith('/');
    // Every offset stays: what marks a comment becomes spaces.
    const prose = isComment
      ? found.replaceAll(/^[ \t]*(?:\/\*\*?|\*\/?|\/\/)|\*\/$/gm, blank)
      : found;
    const habits = found.startsWith('/**') ? [...OPENINGS, SAME_DOCSTRING] : OPENINGS;
    return phrasesIn(prose, isComment ? habits : []).map(({ at, ...phrase }) => ({
      line: lineOf(text, index + at),
      ...phrase,
    }));
  });
}

/** In a page of Markdown, without its code. */
export function phrasesInPage(text: string): Phrase[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```|`[^`\n]*`/gm, (code) =>
    code.replaceAll(/[^\n`]/g, '_'),
  );
  return phrasesIn(prose, OPENINGS).map(({ at, ...phrase }) => ({
    line: lineOf(text, at),
    ...phrase,
  }));
}

function phrasesIn(
  prose: string,
  openings: readonly Habit[],
): (Omit<Phrase, 'line'> & { at: number })[] {
  const words = WORDS.flatMap(({ pattern, cure }) =>
    [...prose.matchAll(pattern)].map(({ index, 0: found }) => ({
      at: index,
      found,
      cure,
      isOpening: false,
    })),
  );
  const begun = sentencesOf(prose).flatMap(({ at, sentence }) =>
    openings.flatMap(({ pattern, cure }) => {
      const found = pattern.exec(sentence)?.[0];
      return found === undefined ? [] : [{ at, found: `${found} ...`, cure, isOpening: true }];
    }),
  );
  return [...words, ...begun];
}

/** A sentence begins at the start of the text or a paragraph, and after a full stop and a space. */
function sentencesOf(prose: string): { at: number; sentence: string }[] {
  const starts = prose.matchAll(
    /(?:^|\n[ \t]*\n|(?<!\b(?:e\.g|i\.e|vs|cf))[.!?]["')]*\s)\s*(?=[A-Z])/g,
  );
  return Array.from(starts, ({ index, 0: lead }) => {
    const at = index + lead.length;
    return { at, sentence: /^[^.!?]*[.!?]?/.exec(prose.slice(at))![0] };
  });
}

function blank(marks: string): string {
  return ' '.repeat(marks.length);
}
