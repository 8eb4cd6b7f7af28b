/**
 * `trace [zipkin] [ENDPOINT] { every ... service ... }`: reports to a collector where queries spend their time.
 *
 * Owns:    options, which queries are traced, and what the root span says.
 * Is not:  the spans (query/trace.ts), which the chain makes (server/chain.ts), nor the sending (reporter.ts).
 */
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { ipFromText } from '../../net/ip.ts';
import {
  type OptionTable,
  any,
  countArguments,
  one,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import {
  badValue,
  parseBool,
  parseDuration,
  parseInteger,
  parseUnsigned,
} from '../../corefile/values.ts';
import { rcodeName } from '../../dns/rcode.ts';
import { typeName } from '../../dns/rrtype.ts';
import type { Query } from '../../query/query.ts';
import { TCP } from '../../query/responder.ts';
import type { Response } from '../../query/response.ts';
import { QueryTrace } from '../../query/trace.ts';
import { PASS } from '../../query/verdict.ts';
import { random16 } from '../../sys/random.ts';
import type { BuildContext, Directive, Handler, HitPart } from '../directive.ts';
import type { HostPort } from '../../net/host-port.ts';
import { Reporter } from './reporter.ts';

const DEFAULT_ENDPOINT = 'localhost:9411';
const DEFAULT_SERVICE = 'coredns';
/** The defaults of Zipkin's client, which CoreDNS uses: for backlog, batch and interval. */
const DEFAULT_BACKLOG = 1000;
const DEFAULT_BATCH = 100;
const DEFAULT_INTERVAL_MS = 1000;
/** A hundred megabytes of spans are more than anybody means. */
const BACKLOG_MAX = 100_000;
const INTERVAL_MS_MAX = 3_600_000;
const ROOT = 'servedns';

export interface TraceConfig {
  readonly url: URL;
  /** Every how many queries; 0 for none. */
  readonly every: number;
  readonly service: string;
  readonly backlogMax: number;
  readonly batchMax: number;
  readonly intervalMs: number;
}

export const trace: Directive<TraceConfig> = {
  name: 'trace',
  repeat: 'last',
  parse: (use) => readUse(use, () => parse(use)),
  build: ([config], context) => (config!.every === 0 ? undefined : new Trace(config!, context)),
};

type Draft = { -readonly [Key in keyof TraceConfig]: TraceConfig[Key] };

const OPTIONS: OptionTable<Draft> = {
  every: one((draft, value) => {
    draft.every = parseUnsigned(value);
  }),
  service: one((draft, value) => {
    draft.service = value.text;
  }),
  // Client and server would share a span; but DNS clients send no span of their own.
  client_server: any((_, [value]) => {
    if (value !== undefined) parseBool(value);
  }, 1),
  datadog_analytics_rate: any((_, [value]) => {
    if (value !== undefined) checkRate(value);
  }, 1),
  zipkin_max_backlog_size: one((draft, value) => {
    draft.backlogMax = parseInteger(value, { min: 0, max: BACKLOG_MAX }) || DEFAULT_BACKLOG;
  }),
  zipkin_max_batch_size: one((draft, value) => {
    draft.batchMax = parseInteger(value, { min: 0, max: BACKLOG_MAX }) || DEFAULT_BATCH;
  }),
  zipkin_max_batch_interval: one((draft, value) => {
    const range = { min: 0, max: INTERVAL_MS_MAX };
    draft.intervalMs = parseDuration(value, range) || DEFAULT_INTERVAL_MS;
  }),
};

function parse(use: DirectiveUse): TraceConfig {
  const args = countArguments(use, 0, 2);
  const endpoint = args.at(-1);
  if (args.length === 2) checkType(args[0]!);
  return readOptions<Draft>(use, OPTIONS, {
    url: endpoint === undefined ? urlOf(DEFAULT_ENDPOINT)! : parseEndpoint(endpoint),
    every: 1,
    service: DEFAULT_SERVICE,
    backlogMax: DEFAULT_BACKLOG,
    batchMax: DEFAULT_BATCH,
    intervalMs: DEFAULT_INTERVAL_MS,
  });
}

function checkType(token: Token): void {
  const type = token.text.toLowerCase();
  if (type === 'zipkin') return;
  const hint =
    type === 'datadog'
      ? 'an OpenTelemetry Collector takes Zipkin spans and hands them on to Datadog: write its address'
      : 'expected zipkin';
  throw badValue(token, `tracing endpoint type '${type}' is not supported`, hint);
}

function checkRate(token: Token): void {
  const rate = /^\d*\.?\d+$/.test(token.text) ? Number(token.text) : NaN;
  if (rate >= 0 && rate <= 1) return;
  const what = `datadog analytics rate must be between 0 and 1, '${token.text}' is not supported`;
  throw badValue(token, what);
}

function parseEndpoint(token: Token): URL {
  const url = urlOf(token.text);
  if (url !== undefined) return url;
  const what = `invalid tracing endpoint '${token.text}'`;
  throw badValue(token, what, 'expected HOST:PORT, or a URL with http:// or https://');
}

function urlOf(endpoint: string): URL | undefined {
  const text = endpoint.includes('http') ? endpoint : `http://${endpoint}/api/v2/spans`;
  const url = URL.canParse(text) ? new URL(text) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) ? url : undefined;
}

class Trace implements Handler {
  readonly name = 'trace';
  readonly seesHits = false;
  readonly onHits: HitPart = { wants: () => this.#picksHit() };
  readonly #every: number;
  readonly #reporter: Reporter;
  #asked = 0;
  /** The query that comes next is one that was picked before the cache was asked. */
  #picked = false;

  constructor({ url, every, service, ...sizes }: TraceConfig, context: BuildContext) {
    this.#every = every;
    const [listener] = context.listeners;
    this.#reporter = new Reporter(
      { url, ...sizes, localEndpoint: endpointOf(service, listener) },
      context.log,
      context.metrics.counter('nodelocald_trace_spans_dropped_total', {}),
    );
    context.onStop(() => void this.#reporter.flush());
  }

  onQuery(query: Query): typeof PASS {
    // A query asked on behalf of another belongs to that one's trace; a query of our own has no trace.
    if (query.client === undefined || query.asker !== undefined) return PASS;
    if (!this.#isPicked(query)) return PASS;
    const begun = new QueryTrace(ROOT, query.receivedMs, newId);
    query.trace = begun;
    query.metadata?.set('trace/traceid', begun.id);
    return PASS;
  }

  onResponse(query: Query, response: Response): Response {
    const ended = query.asker === undefined ? query.trace : undefined;
    if (ended === undefined) return response;
    query.trace = undefined;
    const { client } = query;
    const failure = response.failure?.message ?? '';
    this.#reporter.add(
      ended.end({
        'coredns.io/name': query.name,
        'coredns.io/type': typeName(query.qtype),
        'coredns.io/rcode': rcodeName(response.rcode),
        'coredns.io/proto': client?.transport === TCP ? 'tcp' : 'udp',
        'coredns.io/remote': client?.remoteAddress ?? '',
        ...(failure === '' ? {} : { error: failure }),
      }),
    );
    return response;
  }

  /** Each query is counted once: here if it may be a hit, which it is to be only if it is not traced. */
  #picksHit(): boolean {
    this.#picked = this.#count();
    return this.#picked;
  }

  #isPicked(query: Query): boolean {
    if (query.cacheAsked) return false;
    if (!this.#picked) return this.#count();
    this.#picked = false;
    return true;
  }

  /** Whether it is the turn of this one. */
  #count(): boolean {
    this.#asked = (this.#asked + 1) % this.#every;
    return this.#asked === 0;
  }
}

/** 64 bits, as Zipkin writes them. */
function newId(): string {
  let id = '';
  for (let i = 0; i < 4; i++) id += random16().toString(16).padStart(4, '0');
  return id;
}

function endpointOf(
  serviceName: string,
  at: HostPort | undefined,
): Readonly<Record<string, string | number>> {
  const ip = ipFromText(at?.host ?? '');
  if (at === undefined || ip === undefined) return { serviceName };
  return { serviceName, [ip.family === 4 ? 'ipv4' : 'ipv6']: at.host, port: at.port };
}
