/** A rule as the directive sees it, and the reading of the words of all forms of rules. */
import { CorefileError, type Place } from '../../corefile/error.ts';
import type { Token } from '../../corefile/tokens.ts';
import type { Draft } from './draft.ts';

/** The effect of a rule, whether or not others follow. */
export interface Action {
  /** The only name for which it acts: then others do not cost it a look. */
  readonly onlyName: string | undefined;
  /** Rewrites the draft; false if the rule does not match. Never throws. */
  readonly apply: (draft: Draft) => boolean;
}

export interface Rule extends Action {
  /** Whether the rules behind it are tried when it has matched. */
  readonly continues: boolean;
}

/** The words after the one that names the form. */
export interface Words {
  readonly args: readonly Token[];
  /** That word, for what is missing behind it. */
  readonly field: Token;
}

/** Too few words or too many. */
export function wrongCount(words: Words, what: string, hint?: string): CorefileError {
  const place: Place = words.args.at(-1) ?? words.field;
  return new CorefileError('COREFILE_ARGUMENTS', place, what, { hint });
}
