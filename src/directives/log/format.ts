/**
 * The query log's line: a format is compiled once to a list of pieces, and filled in per query.
 *
 * Owns:    the placeholders and what each shows, in CoreDNS's spelling: log pipelines parse it.
 */
import { AA, AD, CD, RA, RD, TC, Z, readU16 } from '../../dns/header.ts';
import { rcodeName } from '../../dns/rcode.ts';
import { className, typeName } from '../../dns/rrtype.ts';
import { bracketed } from '../../net/host-port.ts';
import type { Query } from '../../query/query.ts';
import { TCP } from '../../query/responder.ts';
import type { Response } from '../../query/response.ts';

const COMMON =
  '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" ' +
  '{rcode} {>rflags} {rsize} {duration}';
const COMBINED = `${COMMON} "{>opcode}"`;
export const DEFAULT_FORMAT = '{common}';

/** Gives the text of a placeholder for a query and its response, which took `durationMs`. */
type Show = (query: Query, response: Response, durationMs: number) => string;

const NONE = '-';
/** The UDP size that CoreDNS shows for a query over TCP. */
const TCP_BUFSIZE = '65535';

/** `{local}` on a wildcard listener, as Go shows it. */
const WILDCARD = '[::]';

const PLACEHOLDERS: Readonly<Record<string, Show>> = {
  '{type}': (query) => typeName(query.qtype),
  '{class}': (query) => className(query.qclass),
  '{name}': (query) => query.name,
  '{proto}': (query) => (query.client?.transport === TCP ? 'tcp' : 'udp'),
  '{remote}': (query) => bracketed(query.client?.remoteAddress ?? NONE),
  '{local}': (query) => {
    const address = query.client?.localAddress ?? NONE;
    return address === '0.0.0.0' ? WILDCARD : bracketed(address);
  },
  '{port}': (query) => String(query.client?.remotePort ?? NONE),
  '{size}': (query) => String(query.msg.length),
  '{>id}': (query) => String(readU16(query.msg, 0)),
  '{>opcode}': (query) => String(query.opcode),
  '{>do}': (query) => String(query.dnssecOk),
  '{>bufsize}': (query) =>
    query.client?.transport === TCP ? TCP_BUFSIZE : String(query.payloadOctets),
  // A bare RCODE is no message: CoreDNS 1.13 shows nothing of it.
  '{rcode}': (_, response) => (isBare(response) ? NONE : rcodeName(response.rcode)),
  '{>rflags}': (query, response) => (isBare(response) ? NONE : flagsOf(query, response)),
  '{rsize}': (_, response) => (isBare(response) ? '0' : String(response.message.plainOctets)),
  '{duration}': (_query, _response, durationMs) => `${secondsText(durationMs)}s`,
};

/** A format, ready to be filled in. */
export class LineFormat {
  readonly #pieces: readonly (string | Show)[];

  constructor(format: string) {
    const full = format.replaceAll('{common}', COMMON).replaceAll('{combined}', COMBINED);
    this.#pieces = compile(full);
  }

  line(query: Query, response: Response, durationMs: number): string {
    let line = '';
    for (const piece of this.#pieces) {
      line += typeof piece === 'string' ? piece : piece(query, response, durationMs);
    }
    return line;
  }
}

/** The innermost braces count; what is no placeholder stays as it is. */
function compile(format: string): (string | Show)[] {
  const pieces: (string | Show)[] = [];
  let literal = '';
  for (const part of format.split(/(\{[^{}]*\})/)) {
    const show = Object.hasOwn(PLACEHOLDERS, part) ? PLACEHOLDERS[part] : labelOf(part);
    if (show === undefined) {
      literal += part;
      continue;
    }
    if (literal !== '') pieces.push(literal);
    literal = '';
    pieces.push(show);
  }
  if (literal !== '') pieces.push(literal);
  return pieces;
}

/** `{/LABEL}` shows metadata. */
function labelOf(part: string): Show | undefined {
  const label = /^\{\/(.*)\}$/s.exec(part)?.[1];
  return label === undefined ? undefined : (query) => query.metadata?.get(label) ?? NONE;
}

function isBare(response: Response): boolean {
  return response.failure !== undefined;
}

/** The flags that the client will see, or would but for truncation; RD and CD are the query's. */
function flagsOf(query: Query, response: Response): string {
  const { wire } = response.message;
  const high = wire[2] ?? 0;
  const low = wire[3] ?? 0;
  const askedHigh = query.msg[2] ?? 0;
  const askedLow = query.msg[3] ?? 0;
  let flags = 'qr';
  if ((high & AA) !== 0) flags += ',aa';
  if ((high & TC) !== 0) flags += ',tc';
  if ((askedHigh & RD) !== 0) flags += ',rd';
  if ((low & RA) !== 0) flags += ',ra';
  if ((low & Z) !== 0) flags += ',z';
  if ((low & AD) !== 0 && (query.dnssecOk || (askedLow & AD) !== 0)) flags += ',ad';
  if ((askedLow & CD) !== 0) flags += ',cd';
  return flags;
}

/** Milliseconds as seconds: the shortest plain decimal number of whole nanoseconds. */
export function secondsText(ms: number): string {
  const text = (Math.max(0, ms) / 1000).toFixed(9);
  let end = text.length;
  while (text[end - 1] === '0') end--;
  if (text[end - 1] === '.') end--;
  return text.slice(0, end);
}
