/** The errors for braces without a partner, which several stages of the reading find. */
import { CorefileError } from './error.ts';
import type { Token } from './tokens.ts';

/** A block that the end of the file leaves open. The place is that of the last token. */
export function missingBrace(last: Token, whose: string, open: Token): CorefileError {
  return new CorefileError(
    'COREFILE_SYNTAX',
    last,
    `Syntax error: Unexpected token '${last.text}', expecting '}'`,
    { hint: `${whose}, opened in line ${open.line}, is never closed` },
  );
}

/** A `}` that closes nothing, or stands where it may not. */
export function strayBrace(token: Token, hint?: string): CorefileError {
  const what = `Unexpected '}' because no matching opening brace`;
  return new CorefileError('COREFILE_SYNTAX', token, what, {
    hint: hint ?? 'remove it, or look for a "{" missing above',
  });
}
