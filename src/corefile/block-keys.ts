/**
 * The keys in front of a server block: from its first word to the brace or the end of the line.
 *
 *   key { [","] key }
 *
 * Owns:    where a list of keys ends; commas; braces glued to a key; which lone key names a snippet;
 *          the zones, ports and warnings of a block's keys.
 * Is not:  the syntax of one key, which keys.ts reads, nor the judge of two blocks with the same key.
 */
import { strayBrace } from './braces.ts';
import { CorefileError, type Place, quote, type Report } from './error.ts';
import type { TokenStream, Warning } from './imports.ts';
import { isPreferredSyntax, parseKey, type ParsedKey, type Scheme } from './keys.ts';
import type { Token } from './tokens.ts';

export interface ServerKey {
  /** As written, variables put in. */
  readonly text: string;
  /** directives/configure.ts refuses all but `dns` and `tls`. */
  readonly scheme: Scheme;
  /** Normalized: `cluster.local.` or `.`. */
  readonly zone: string;
  /** 0 to 65535; 0 is a port of the kernel's choice. */
  readonly port: number;
  readonly place: Place;
}

/** A key whose zone and port are still to be read; `text` lacks the comma that may have followed. */
export interface KeyWord {
  readonly token: Token;
  readonly text: string;
}

export interface KeyList {
  readonly words: readonly KeyWord[];
  /** Whether the block's brace was glued to the last key, and is taken. */
  readonly isOpen: boolean;
}

/** Reads up to the block's brace, or to the end of the line on which no comma asks for more. */
export function readKeyList(stream: TokenStream, report: Report): KeyList {
  const words: KeyWord[] = [];
  /** The last word, if a comma at its end asks for another key. */
  let comma: Token | undefined;
  let isFirst = true;
  for (let token = stream.peek(); token !== undefined; token = stream.peek()) {
    if (token.kind === 'open') {
      if (comma !== undefined) report(extraComma(comma));
      return { words, isOpen: false };
    }
    if (!isFirst && comma === undefined && token.startsLine) return { words, isOpen: false };
    stream.take();
    if (token.kind === 'close') {
      report(strayBrace(token));
      continue;
    }
    isFirst = false;
    comma = token.text.endsWith(',') ? token : undefined;
    const text = comma === undefined ? token.text : token.text.slice(0, -1);
    if (!token.quoted && /.\{$/s.test(text)) {
      report(gluedBrace(token, text));
      words.push({ token, text: text.slice(0, -1) });
      return { words, isOpen: true };
    }
    const isEmpty = text === '' && (comma !== undefined || token.quoted);
    if (!isEmpty) words.push({ token, text });
  }
  if (comma !== undefined) report(keyMissing(comma));
  return { words, isOpen: false };
}

/** The name between the parentheses of a lone key, which declares a snippet and is not a zone. */
export function snippetName(words: readonly KeyWord[]): string | undefined {
  return words.length === 1 ? /^\((.*)\)$/s.exec(words[0]!.text)?.[1] : undefined;
}

/** Whether a word may be a key: zones have dots, ports have colons; directives have neither. */
export function looksLikeKey(word: string): boolean {
  return /[.:]/.test(word);
}

/**
 * The keys that the words stand for; a CIDR stands for several. A word that is no key is reported and
 * left out; a zone of unusual characters is added to `warnings`. `dnsPort` is the port of dns:// keys
 * that name none.
 */
export function serverKeys(
  words: readonly KeyWord[],
  dnsPort: number,
  warnings: Warning[],
  report: Report,
): ServerKey[] {
  const keys: ServerKey[] = [];
  for (const { token, text } of words) {
    const key = parsedKey(token, text, dnsPort, report);
    for (const zone of key?.zones ?? []) {
      const { scheme, port } = key!;
      keys.push({ text, scheme, zone, port, place: token });
      if (!isPreferredSyntax(zone)) {
        const message = `Domain ${quote(zone)} does not follow RFC1035 preferred syntax`;
        warnings.push({ message, place: token });
      }
    }
  }
  return keys;
}

function parsedKey(
  token: Token,
  text: string,
  dnsPort: number,
  report: Report,
): ParsedKey | undefined {
  try {
    return parseKey(token, text, dnsPort);
  } catch (error) {
    if (!(error instanceof CorefileError)) throw error;
    report(error);
    return undefined;
  }
}

function extraComma(comma: Token): CorefileError {
  const what = `Expected another address but had '{' - check for extra comma`;
  return new CorefileError('COREFILE_SYNTAX', comma, what);
}

function keyMissing(comma: Token): CorefileError {
  const hint = 'another key must follow the comma';
  return new CorefileError('COREFILE_SYNTAX', comma, 'Unexpected EOF', { hint });
}

function gluedBrace(token: Token, text: string): CorefileError {
  const what = `zone is not a valid domain name: ${text}`;
  const hint = 'put white space before "{"';
  return new CorefileError('COREFILE_KEY', token, what, { hint });
}
