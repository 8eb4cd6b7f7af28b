/**
 * For tests: a query as the server would make it of a client's message, and a client that waits.
 *
 * Owns:    the queries and clients that tests of handlers use.
 */
import { buildQuery } from '../dns/build-query.ts';
import { emptyOpt } from '../dns/edns.ts';
import { QueryView, READ_QUERY, readQuery } from '../dns/question.ts';
import { CD, RD } from '../dns/header.ts';
import { PAYLOAD_OCTETS_MIN } from '../dns/limits.ts';
import { nameFromText } from '../dns/name.ts';
import { IN, classFromName, typeFromName } from '../dns/rrtype.ts';
import { type Family, type ReplyPath, TCP, UDP } from './responder.ts';
import { Query } from './query.ts';
import type { Response } from './response.ts';

export interface AskOptions {
  readonly id?: number;
  readonly qclass?: string;
  readonly opcode?: number;
  /** Asks with EDNS, offering that many octets. */
  readonly edns?: number;
  readonly dnssecOk?: boolean;
  readonly recursionDesired?: boolean;
  readonly checkingDisabled?: boolean;
  readonly transport?: 'udp' | 'tcp';
  readonly remoteAddress?: string;
  readonly remotePort?: number;
  readonly localAddress?: string;
  /** On the monotonic clock. */
  readonly receivedMs?: number;
  /** Whether it is a query of our own, without a client. */
  readonly ours?: boolean;
}

/** A query that is in a chain of one handler, and what came out at its top. */
export interface AskedQuery {
  readonly query: Query;
  readonly responses: readonly Response[];
}

/** A query for `name` (presentation form) and `type` (`A`, `TYPE65280`). */
export function askQuery(
  name: string,
  type: string,
  options: AskOptions = {},
  hashSeed: number = 0,
): AskedQuery {
  const msg = queryMessage(name, type, options);
  const view = new QueryView(hashSeed);
  const reading = readQuery(view, msg, 0, msg.length);
  if (reading !== READ_QUERY) throw new Error(`not a query: ${name} ${type}`);
  const responses: Response[] = [];
  const sink = { deliver: (_: Query, response: Response) => void responses.push(response) };
  const client = options.ours === true ? undefined : replyPath(options);
  const query = new Query(view, client, options.receivedMs ?? performance.now(), sink);
  query.chain = {
    run: () => undefined,
    isReachable: () => true,
    lookUp: () => undefined,
    unwind: (asked, _depth, response) => asked.deliver(response),
  };
  return { query, responses };
}

/** The message that {@link askQuery} reads. */
export function queryMessage(name: string, type: string, options: AskOptions = {}): Uint8Array {
  const qname = nameFromText(name);
  const qtype = typeFromName(type);
  if (qname === undefined || qtype === undefined)
    throw new Error(`no name or type: ${name} ${type}`);
  const opt = options.edns === undefined && options.dnssecOk !== true ? undefined : optOf(options);
  const opcode = (options.opcode ?? 0) << 3;
  const high = opcode | (options.recursionDesired === false ? 0 : RD);
  return buildQuery({
    name: qname,
    qtype,
    qclass: classFromName(options.qclass ?? 'IN') ?? IN,
    id: options.id ?? 4711,
    flags: (high << 8) | (options.checkingDisabled === true ? CD : 0),
    ...(opt === undefined ? {} : { opt }),
  });
}

function optOf({ edns, dnssecOk }: AskOptions): Uint8Array {
  const opt = emptyOpt(edns ?? PAYLOAD_OCTETS_MIN);
  opt[7] = dnssecOk === true ? 0x80 : 0;
  return opt;
}

function replyPath(options: AskOptions): ReplyPath {
  const remoteAddress = options.remoteAddress ?? '127.0.0.1';
  const family: Family = remoteAddress.includes(':') ? 2 : 1;
  return {
    transport: options.transport === 'tcp' ? TCP : UDP,
    family,
    remoteAddress,
    remotePort: options.remotePort ?? 43008,
    localAddress: options.localAddress ?? '127.0.0.1',
    localPort: 53,
    send: () => undefined,
  };
}
