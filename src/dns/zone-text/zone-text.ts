/**
 * One resource record written as in a zone file (RFC 1035 section 5.1): what `template` makes, and what
 * tests say.
 *
 *   NAME [TTL] [CLASS] TYPE RDATA        TTL and CLASS in either order
 *
 *   text --zone-words.ts--> words --zone-rdata.ts, svcb.ts--> a record --codec.ts--> octets
 *
 * Owns:    the order of a record's fields, and their defaults.
 * Is not:  a reader of zones: there are no directives ($TTL), and what stands behind the first record
 *          is not looked at, as in miekg/dns.
 */
import type { ResourceRecord } from '../codec.ts';
import { nameToText } from '../name.ts';
import { IN, OPT, classFromName, typeFromName } from '../rrtype.ts';
import { rdataFromWords } from './rdata.ts';
import { nameFromWord, ttlFromText } from './strings.ts';
import { type Word, ZoneTextError, wordsOfRecord } from './words.ts';

/** The TTL of a record whose text has none. */
const DEFAULT_TTL_SEC = 3600;

/**
 * The record in `text`. Names without a final dot are taken as absolute; class and type count in any
 * case. Throws ZoneTextError, and nothing else.
 */
export function recordFromText(text: string): ResourceRecord {
  const words = wordsOfRecord(Buffer.from(text, 'utf8').toString('latin1'));
  const [owner, ...rest] = words;
  if (owner === undefined) {
    throw new ZoneTextError('no record in the text', { text: '', place: '1:0' });
  }
  // A lone word is in the place of a TTL, as there is no owner without a blank behind it.
  if (rest.length === 0) throw new ZoneTextError('not a TTL', owner);
  const name = nameFromWord(owner);
  if (name === undefined) throw new ZoneTextError('bad owner name', owner);
  const end: Word = { text: '', quoted: false, place: words.at(-1)!.place };
  const { ttlSec, rrClass, type, taken } = readHead(rest, end);
  const rdata = rdataFromWords(type, rest.slice(taken), end);
  return { name: nameToText(name), type, rrClass, ttlSec, rdata };
}

interface Head {
  readonly ttlSec: number;
  readonly rrClass: number;
  readonly type: number;
  /** How many words it is. */
  readonly taken: number;
}

/** TTL and class, each at most once, and the type. */
function readHead(words: readonly Word[], end: Word): Head {
  let ttlSec: number | undefined;
  let rrClass: number | undefined;
  for (const [i, word] of words.entries()) {
    const upper = word.quoted ? '' : word.text.toUpperCase();
    const type = typeFromName(upper);
    const found = classFromName(upper);
    // ANY is a class and a type: a record has neither, but a class stands before its type.
    if (type !== undefined && (found === undefined || rrClass !== undefined)) {
      if (isMeta(type)) throw new ZoneTextError('no type of records', word);
      return { ttlSec: ttlSec ?? DEFAULT_TTL_SEC, rrClass: rrClass ?? IN, type, taken: i + 1 };
    }
    if (found !== undefined && rrClass === undefined) {
      rrClass = found;
      continue;
    }
    const seconds = ttlSec === undefined ? ttlFromText(word.text) : undefined;
    if (seconds === undefined || word.quoted) {
      throw new ZoneTextError(expectation(ttlSec !== undefined, rrClass !== undefined), word);
    }
    ttlSec = seconds;
  }
  throw new ZoneTextError('no RR type', end);
}

function expectation(hasTtl: boolean, hasClass: boolean): string {
  if (!hasTtl) return 'not a TTL';
  return hasClass ? 'unknown RR type' : 'expecting RR type or class, not this...';
}

/** Types of questions and of what belongs to a message (RFC 6895 section 3.1). */
function isMeta(type: number): boolean {
  return type === OPT || (type >= 128 && type <= 255);
}
