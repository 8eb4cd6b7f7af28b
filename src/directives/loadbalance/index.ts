/**
 * `loadbalance [round_robin | weighted WEIGHTFILE] { reload ... prefer ... }`: puts the addresses of an
 * answer into another order each time, so that clients that take the first one spread.
 *
 * Owns:    options, and which answers are put into order.
 * Is not:  the order (order.ts), the weights (weights.ts) nor the moving of records (dns/records.ts).
 */
import { readFileSync } from 'node:fs';
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import type { IpNetwork } from '../../net/ip.ts';
import {
  type OptionTable,
  any,
  readOptions,
  readUse,
  unknownOption,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, formatDuration, parseCidr, parseDuration } from '../../corefile/values.ts';
import { WatchedFile } from '../../files/watched-file.ts';
import { HEADER_OCTETS, RCODE_MASK, readU16 } from '../../dns/header.ts';
import { skipName } from '../../dns/name.ts';
import { copyOctets } from '../../dns/octets.ts';
import { NOERROR } from '../../dns/rcode.ts';
import { RecordTable, hasOrder } from '../../dns/records.ts';
import type { NormalizedResponse } from '../../dns/response.ts';
import { AXFR, IXFR } from '../../dns/rrtype.ts';
import { reasonOf } from '../../observe/reason.ts';
import type { Query } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import type { BuildContext, Directive, Handler, HitPart, ParseContext } from '../directive.ts';
import { type Order, Preferring, RoundRobin, Weighted } from './order.ts';
import { Weights } from './weights.ts';

const DEFAULT_RELOAD_MS = 30_000;
const POLICIES = 'expected round_robin or weighted';

export interface LoadbalanceConfig {
  /** Undefined for `round_robin`. */
  readonly weightFile: string | undefined;
  /** 0: the file is read once. */
  readonly reloadMs: number;
  /** Addresses in these stand first, in this order. */
  readonly preferred: readonly IpNetwork[];
}

export const loadbalance: Directive<LoadbalanceConfig> = {
  name: 'loadbalance',
  repeat: 'last',
  parse: (use, context) => readUse(use, () => parse(use, context)),
  build: ([config], context) => new Loadbalance(config!, context),
};

interface Draft {
  reloadMs: number;
  preferred: IpNetwork[];
}

const OPTIONS: OptionTable<Draft> = {
  reload: any((draft, args, line) => {
    const [value, more] = args;
    if (value === undefined) {
      throw new CorefileError('COREFILE_ARGUMENTS', line.name, 'reload duration value is missing');
    }
    if (more !== undefined)
      throw new CorefileError('COREFILE_ARGUMENTS', more, 'unexpected argument');
    draft.reloadMs = parseReload(value);
  }),
  prefer: any((draft, args) => {
    for (const cidr of args) draft.preferred.push(parseNetwork(cidr));
  }),
};

function parse(use: DirectiveUse, context: ParseContext): LoadbalanceConfig {
  const [policy, file, more] = use.args;
  const weighted = policy?.text === 'weighted';
  if (policy !== undefined && !weighted && policy.text !== 'round_robin') {
    throw badValue(policy, `unknown policy: ${policy.text}`, POLICIES);
  }
  const excess = weighted ? more : file;
  if (excess !== undefined) {
    const what = weighted ? 'unexpected argument(s)' : 'unknown property for round_robin';
    throw new CorefileError('COREFILE_ARGUMENTS', excess, what);
  }
  if (weighted && file === undefined) {
    throw new CorefileError('COREFILE_ARGUMENTS', policy, 'missing weight file argument');
  }
  const draft = readOptions(use, OPTIONS, { reloadMs: DEFAULT_RELOAD_MS, preferred: [] });
  if (!weighted) {
    const reload = use.options.find(({ name }) => name.text === 'reload');
    if (reload !== undefined) throw unknownOption(use, reload.name, ['prefer']);
  } else {
    checkFile(file!, draft.reloadMs, context);
  }
  return { weightFile: weighted ? file!.text : undefined, ...draft };
}

function parseReload(token: Token): number {
  let reloadMs: number;
  try {
    reloadMs = parseDuration(token);
  } catch {
    throw badValue(token, `invalid reload duration '${token.text}'`, 'expected one such as 30s');
  }
  if (reloadMs >= 0) return reloadMs;
  throw badValue(token, `invalid reload duration '${token.text}'`, 'expected 0s or more');
}

function parseNetwork(token: Token): IpNetwork {
  try {
    return parseCidr(token);
  } catch {
    const what = `invalid CIDR "${token.text}": invalid CIDR address: ${token.text}`;
    throw badValue(token, what, 'expected ADDRESS/LENGTH, such as 10.0.0.0/8');
  }
}

/** A file that is wrong is refused; one that is missing may still come, if it is looked for again. */
function checkFile(token: Token, reloadMs: number, context: ParseContext): void {
  let text: string;
  try {
    text = readFileSync(token.text, 'utf8');
  } catch (cause) {
    const what = 'Failed to open weight file:weight file open error.';
    const reason = reasonOf(cause);
    if (reloadMs === 0) {
      throw new CorefileError('COREFILE_FILE', token, `${what} ${reason}`, { cause });
    }
    const again = formatDuration(reloadMs);
    context.warn(`plugin/loadbalance: ${what} Will try again in ${again} (${reason})`);
    return;
  }
  const weights = Weights.parse(text, token.text);
  if (typeof weights === 'string') throw new CorefileError('COREFILE_FILE', token, weights);
}

/** One message is put into order at a time. */
const table = new RecordTable();

class Loadbalance implements Handler {
  readonly name = 'loadbalance';
  readonly seesHits = false;
  readonly onHits: HitPart;
  readonly #order: Order;

  constructor({ weightFile, reloadMs, preferred }: LoadbalanceConfig, context: BuildContext) {
    const order =
      weightFile === undefined ? new RoundRobin() : followed(weightFile, reloadMs, context);
    this.#order = preferred.length === 0 ? order : new Preferring(order, preferred);
    this.onHits = {
      arrange: (out, at, octets, end) => this.#arrangeHit(out, at, octets, end),
    };
  }

  /** Another response in the place of this one, which others may share. */
  onResponse(_: Query, response: Response): Response {
    if (response.failure !== undefined) return response;
    return response.with(this.#arranged(response.message), this.name);
  }

  #arranged(message: NormalizedResponse): NormalizedResponse {
    const wire = copyOctets(message.wire);
    if (!this.#ask(wire, 0, wire.length)) return message;
    if (!table.isExchange) return table.rewrite() ?? message;
    table.exchange();
    return { ...message, wire };
  }

  /** Hot path: in place, but for records that are not like each other, which are rare in answers. */
  #arrangeHit(out: Uint8Array, at: number, octets: number, end: number): number {
    if (!this.#ask(out, at, octets)) return octets;
    if (table.isExchange) {
      table.exchange();
      return octets;
    }
    const rewritten = table.rewrite();
    if (rewritten === undefined || at + rewritten.wire.length > end) return octets;
    out.set(rewritten.wire, at);
    return rewritten.wire.length;
  }

  /** Whether the message is to be changed, and by what: see `table`. */
  #ask(msg: Uint8Array, at: number, octets: number): boolean {
    if ((msg[at + 3]! & RCODE_MASK) !== NOERROR || !hasOrder(msg, at)) return false;
    const qtypeAt = skipName(msg, at + HEADER_OCTETS, at + octets);
    const qtype = readU16(msg, qtypeAt);
    // Of a transfer the first and last record have their place.
    if (qtype === AXFR || qtype === IXFR || !table.read(msg, at, octets)) return false;
    this.#order.arrange(table, msg, at, qtype);
    return table.isReordered;
  }
}

/** The order by a weight file, which is read now, and again when it has changed. */
function followed(path: string, reloadMs: number, context: BuildContext): Weighted {
  const order = new Weighted(new Weights());
  const { log } = context;
  const file = new WatchedFile(
    path,
    ({ text }) => {
      const weights = Weights.parse(text, path);
      if (typeof weights === 'string') {
        log.error(`plugin/loadbalance: ${weights}: the weights before stay`);
        return;
      }
      order.weights = weights;
      log.info(`plugin/loadbalance: Successfully reloaded weight file ${path}`);
    },
    (octets) => log.warning(`plugin/loadbalance: weight file ${path} is not read: ${octets} bytes`),
  );
  file.readNow();
  if (reloadMs > 0) context.onStart(() => file.watch(reloadMs));
  context.onStop(() => file.stop());
  return order;
}
