/**
 * A Corefile loaded as the daemon loads it, in this process: every block, directive and chain is the
 * real one, and so are the servers that answer. There are no sockets: clients hand in messages, and
 * upstreams are models that answer by name and remember that they were asked.
 *
 *   first label   answer of every upstream
 *   nx...         NXDOMAIN, and a SOA for 3,600 s
 *   bare...       NXDOMAIN without a SOA
 *   none...       no data, and a SOA
 *   fail...       SERVFAIL
 *   short...      as others, for 7 s
 *   zero...       likewise, for 0 s
 *   others        A 192.0.2.1, AAAA 2001:db8::1, PTR host.example., for 3,600 s; no data otherwise
 */
import { readFileSync } from 'node:fs';
import { machineSource } from '../../src/corefile/source.ts';
import { type Generation, loadGeneration } from '../../src/daemon/serving/generation.ts';
import { TestLog } from '../../src/directives/testing.ts';
import {
  type DecodedMessage,
  type ResourceRecord,
  decodeMessage,
  encodeRecord,
} from '../../src/dns/codec.ts';
import { HEADER_OCTETS, QR, RA } from '../../src/dns/header.ts';
import { nameToText } from '../../src/dns/name.ts';
import { NOERROR, NXDOMAIN, SERVFAIL, rcodeName } from '../../src/dns/rcode.ts';
import { normalize } from '../../src/dns/response.ts';
import { A, AAAA, IN, PTR, SOA, typeName } from '../../src/dns/rrtype.ts';
import { Metrics } from '../../src/observe/metrics.ts';
import { Troubles } from '../../src/observe/troubles.ts';
import { type Client, type ReplyPath, SendSlot, TCP, UDP } from '../../src/query/responder.ts';
import { queryMessage } from '../../src/query/testing.ts';
import { Server } from '../../src/server/server.ts';
import type { Attempt } from '../../src/upstream/attempt.ts';
import type { UpstreamTarget, UpstreamTerms } from '../../src/upstream/config.ts';
import { Upstream } from '../../src/upstream/upstream.ts';
import { Upstreams } from '../../src/upstream/upstreams.ts';

/** Called with each question that goes upstream: `10.96.0.10:53 tcp`. */
type Witness = (upstream: string) => void;

class ModelUpstream extends Upstream {
  readonly #asked: Witness;

  constructor(target: UpstreamTarget, metrics: Metrics, asked: Witness) {
    super(target, metrics);
    this.#asked = asked;
  }

  override sendDatagram(attempt: Attempt): void {
    this.#answer(attempt, 'udp');
  }

  override sendStream(attempt: Attempt): void {
    this.#answer(attempt, this.target.tls === undefined ? 'tcp' : 'tls');
  }

  /** Not before the caller has returned, as no network can. */
  #answer(attempt: Attempt, transport: string): void {
    this.#asked(`${this.label} ${transport}`);
    queueMicrotask(() => attempt.answer(normalize(...modelAnswer(attempt))!));
  }
}

class ModelUpstreams extends Upstreams {
  readonly #metrics: Metrics;
  readonly #asked: Witness;

  constructor(metrics: Metrics, asked: Witness) {
    super(metrics);
    this.#metrics = metrics;
    this.#asked = asked;
  }

  override acquire(target: UpstreamTarget, terms: UpstreamTerms): Upstream {
    const upstream = new ModelUpstream(target, this.#metrics, this.#asked);
    upstream.join(terms);
    return upstream;
  }

  override release(): void {
    // Nothing is open.
  }
}

const TTL_SEC = 3600;
const SHORT_TTL_SEC = 7;

/** The message, from where to where. */
function modelAnswer({ query, nameOctets }: Attempt): [Uint8Array, number, number] {
  const name = nameToText(query, HEADER_OCTETS);
  const typeAt = HEADER_OCTETS + nameOctets;
  const qtype = (query[typeAt]! << 8) | query[typeAt + 1]!;
  const label = name.toLowerCase().split('.')[0]!;
  const base = { name, rrClass: IN, ttlSec: ttlOf(label) };
  const data = /^(?:nx|none)/.test(label) ? undefined : dataOf(qtype);
  const failed = /^(?:fail|bare)/.test(label);
  let rcode = label.startsWith('fail') ? SERVFAIL : NOERROR;
  if (/^(?:nx|bare)/.test(label)) rcode = NXDOMAIN;
  const record: ResourceRecord =
    data === undefined ? { ...base, type: SOA, rdata: soa } : { ...base, type: qtype, rdata: data };
  const wire = failed ? new Uint8Array(0) : encodeRecord(record)!;
  const questionEnd = typeAt + 4;
  const message = new Uint8Array(questionEnd + wire.length);
  message.set(query.subarray(0, questionEnd));
  message.set(wire, questionEnd);
  message[2] = query[2]! | QR;
  message[3] = RA | rcode;
  message.fill(0, 6, HEADER_OCTETS);
  if (!failed) message[data === undefined ? 9 : 7] = 1;
  return [message, 0, message.length];
}

const soa: ResourceRecord['rdata'] = {
  kind: 'soa',
  mname: 'ns.',
  rname: 'admin.',
  serial: 1,
  refresh: 2,
  retry: 3,
  expire: 4,
  minimum: TTL_SEC,
};

function ttlOf(label: string): number {
  if (label.startsWith('zero')) return 0;
  return label.startsWith('short') ? SHORT_TTL_SEC : TTL_SEC;
}

function dataOf(qtype: number): ResourceRecord['rdata'] | undefined {
  if (qtype === A) return { kind: 'address', address: '192.0.2.1' };
  if (qtype === AAAA) return { kind: 'address', address: '2001:db8::1' };
  return qtype === PTR ? { kind: 'name', target: 'host.example.' } : undefined;
}

/** The outcome of one question. */
export interface Told {
  /** `RCODE RECORD; RECORD`, a record being `OWNER TTL TYPE DATA` with `@` for the name asked. */
  readonly answer: string;
  /** The upstreams that were asked, as `10.96.0.10:53 tcp`, in order. */
  readonly upstreams: string;
  /** The question of the answer: `NAME TYPE CLASS`, as spelled. */
  readonly question: string;
  /** Whether the answer has an OPT record. */
  readonly hasOpt: boolean;
  /** Messages that came for it: one, whatever happens. */
  readonly messages: number;
}

export class ServedCorefile {
  readonly log: TestLog = new TestLog();
  readonly #generation: Generation;
  readonly #servers = new Map<string, Server>();
  readonly #asked: string[] = [];
  readonly #upstreams: Upstreams;

  /**
   * Loads the file. `files` stands for files of the machine, by path; `env` for its environment;
   * `expand` for what becomes of a template. Throws CorefileError.
   */
  constructor(
    file: string,
    options: {
      readonly files?: Readonly<Record<string, string>> | undefined;
      readonly env?: Readonly<Record<string, string>> | undefined;
      readonly expand?: ((template: string) => string) | undefined;
    } = {},
  ) {
    const { files = {}, env = {}, expand = (text: string) => text } = options;
    const localized = (text: string): string =>
      Object.entries(files).reduce((all, [path, ours]) => all.replaceAll(path, ours), text);
    const metrics = new Metrics();
    this.#upstreams = new ModelUpstreams(metrics, (upstream) => void this.#asked.push(upstream));
    this.#generation = loadGeneration(
      {
        text: localized(expand(readFileSync(file, 'utf8'))),
        file,
        source: {
          ...machineSource,
          readFile: (path) => localized(machineSource.readFile(path)),
          env: (name) => env[name],
        },
      },
      {
        log: this.log,
        metrics,
        upstreams: this.#upstreams,
        defaultPort: 53,
        ceded: new Set<string>(),
        troubles: new Troubles(metrics),
        onLoop: 'exit',
        fatal: (message) => this.log.error(message),
      },
    );
    for (const { label, bindings } of this.#generation.served.values()) {
      const server = new Server(label, 1, metrics);
      server.serve(bindings);
      this.#servers.set(label, server);
    }
  }

  /** `dns://169.254.20.10:53` and the like. */
  get labels(): string[] {
    return [...this.#servers.keys()];
  }

  /** Asks at the address with that label: `NAME TYPE`, and perhaps `tcp`, `CH`, `plain` (no EDNS). */
  async ask(label: string, question: string): Promise<Told> {
    const [name, type, ...flags] = question.split(' ') as [string, string, ...string[]];
    const server = this.#servers.get(label);
    if (server === undefined) throw new Error(`nobody listens at ${label}`);
    this.#asked.length = 0;
    const message = queryMessage(name, type, {
      ...(flags.includes('plain') ? {} : { edns: 1232 }),
      ...(flags.includes('CH') ? { qclass: 'CH' } : {}),
    });
    const answers = await exchange(server, message, flags.includes('tcp') ? TCP : UDP);
    const decoded = decodeMessage(answers[0]!)!;
    const [asked] = decoded.questions;
    return {
      answer: textOf(decoded),
      upstreams: this.#asked.join(', '),
      question: `${asked!.name} ${typeName(asked!.qtype)} ${asked!.qclass}`,
      hasOpt: (answers[0]![11]! & 1) === 1, // the model upstreams send no other additional record
      messages: answers.length,
    };
  }

  close(): void {
    for (const server of this.#servers.values()) server.close();
    this.#generation.stop();
    this.#upstreams.close();
  }
}

/** All messages that come for it, until some time after the first. */
async function exchange(
  server: Server,
  message: Uint8Array,
  transport: typeof UDP | typeof TCP,
): Promise<Uint8Array[]> {
  const answers: Uint8Array[] = [];
  await new Promise<void>((resolve) => {
    const take = (answer: Uint8Array, octets: number): void => {
      answers.push(answer.slice(0, octets));
      resolve();
    };
    const path: ReplyPath = {
      transport,
      family: 1,
      remoteAddress: '10.244.0.7',
      remotePort: 40_000,
      localAddress: '169.254.20.10',
      localPort: 53,
      send: take,
    };
    const client: Client = { transport, family: 1, keep: () => path };
    const out = new Uint8Array(4096);
    server.beginBatch();
    const octets = server.respond(message, 0, message.length, client, new SendSlot(out));
    server.endBatch();
    if (octets > 0) take(out, octets);
  });
  await new Promise((resolve) => setImmediate(resolve));
  return answers;
}

function textOf(message: DecodedMessage): string {
  const asked = message.questions[0]!.name.toLowerCase();
  const records = [...message.answers, ...message.authorities].map((record) => {
    const owner = record.name.toLowerCase() === asked ? '@' : record.name;
    return [owner, record.ttlSec, typeName(record.type), ...rdataText(record.rdata)].join(' ');
  });
  return [rcodeName(message.rcode), records.join('; ')].filter(Boolean).join(' ');
}

function rdataText(rdata: ResourceRecord['rdata']): string[] {
  if (rdata.kind === 'address') return [rdata.address];
  return rdata.kind === 'name' ? [rdata.target] : [];
}
