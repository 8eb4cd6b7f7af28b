/**
 * `hosts [FILE [ZONES...]] { ... }`: answers A, AAAA and PTR from a hosts file and from inline lines.
 *
 * Owns:    options, and which query is answered, passed on, or refused by SERVFAIL.
 * Is not:  the table (table.ts) nor the file (files/watched-file.ts).
 */
import { statSync } from 'node:fs';
import type { DirectiveUse, OptionLine } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { zonesFromArguments } from '../../corefile/keys.ts';
import {
  type OptionTable,
  any,
  flag,
  readOptions,
  readUse,
  unknownOption,
} from '../../corefile/options.ts';
import { nearest } from '../../corefile/suggest.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, formatDuration, parseDuration, parseInteger } from '../../corefile/values.ts';
import type { ResourceRecord } from '../../dns/codec.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { A, AAAA, IN, PTR } from '../../dns/rrtype.ts';
import { isInZone } from '../../dns/in-zone.ts';
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { synthesize } from '../../query/synthesize.ts';
import { ANSWERED, PASS, type Verdict } from '../../query/verdict.ts';
import { EXAMPLE_NAME } from '../contributions.ts';
import type { BuildContext, Directive, Handler, ParseContext } from '../directive.ts';
import { HostsTable, readHostsLine } from './table.ts';
import { WatchedFile } from '../../files/watched-file.ts';
import { reasonOf } from '../../observe/reason.ts';

const DEFAULT_FILE = '/etc/hosts';
const DEFAULT_TTL_SEC = 3600;
const DEFAULT_RELOAD_MS = 5000;

export interface HostsConfig {
  readonly file: string;
  readonly zones: readonly string[];
  readonly inline: readonly string[];
  readonly ttlSec: number;
  readonly reverse: boolean;
  /** 0: the file is read once. */
  readonly reloadMs: number;
  /** Zones whose unknown names are passed on; empty without `fallthrough`. */
  readonly fallthrough: readonly string[];
  /** Whether types other than A, AAAA and PTR are passed on, within `fallthrough`. */
  readonly fallthroughUnsupported: boolean;
}

export const hosts: Directive<HostsConfig> = {
  name: 'hosts',
  repeat: 'refuse',
  parse: (use, context) => readUse(use, () => parse(use, context)),
  contribute: ([config], block) => {
    const first = config!.inline.map(readHostsLine).find((line) => line !== undefined);
    const name = first?.names[0];
    if (name !== undefined) block.add(EXAMPLE_NAME, name);
  },
  build: (configs, context) => new Hosts(configs[0]!, context),
};

type Draft = { -readonly [Key in keyof HostsConfig]: HostsConfig[Key] } & { inline: string[] };

const OPTIONS: OptionTable<Draft> = {
  ttl: any((draft, args, line) => {
    draft.ttlSec = parseTtl(args, line);
  }),
  no_reverse: flag((draft) => {
    draft.reverse = false;
  }),
  reload: any((draft, args, line) => {
    draft.reloadMs = parseReload(args, line);
  }),
  fallthrough: any((draft, args) => {
    draft.fallthrough = zonesFromArguments(args, ['.']);
  }),
  fallthrough_unsupported: flag((draft) => {
    draft.fallthroughUnsupported = true;
  }),
};

function parse(use: DirectiveUse, context: ParseContext): HostsConfig {
  const [file, ...zones] = use.args;
  const draft: Draft = {
    file: file?.text ?? DEFAULT_FILE,
    zones: zonesFromArguments(zones, context.zones),
    inline: [],
    ttlSec: DEFAULT_TTL_SEC,
    reverse: true,
    reloadMs: DEFAULT_RELOAD_MS,
    fallthrough: [],
    fallthroughUnsupported: false,
  };
  checkFile(draft.file, file, use, context);
  const config = readOptions(use, OPTIONS, draft, {
    otherwise: ({ fallthrough, inline }, line) => {
      // As in CoreDNS: what follows `fallthrough` is read as options only.
      if (fallthrough.length > 0) throw lateLine(use, line);
      inline.push(inlineLine(line, context));
    },
  });
  if (config.fallthroughUnsupported && config.fallthrough.length === 0) {
    // An error to CoreDNS 1.14, and to 1.13 an inline line that means nothing.
    const { file: corefile, line } = use.place;
    context.warn(
      `plugin/hosts: ${corefile}:${line}: fallthrough_unsupported requires fallthrough, and does nothing`,
    );
  }
  return config;
}

function parseTtl(args: readonly Token[], line: OptionLine): number {
  const [value] = args;
  if (value === undefined) {
    throw new CorefileError('COREFILE_ARGUMENTS', line.name, 'ttl needs a time in second');
  }
  try {
    return parseInteger(value, { min: 1, max: 65_535 });
  } catch {
    const what = /^[+-]?\d+$/.test(value.text)
      ? 'ttl provided is invalid'
      : 'ttl needs a number of second';
    throw badValue(value, what, 'expected seconds from 1 to 65535, without a unit');
  }
}

function parseReload(args: readonly Token[], line: OptionLine): number {
  const [value, ...rest] = args;
  if (value === undefined || rest.length > 0) {
    const what = 'reload needs a duration (zero seconds to disable)';
    throw new CorefileError('COREFILE_ARGUMENTS', line.name, what);
  }
  let reloadMs: number;
  try {
    reloadMs = parseDuration(value);
  } catch (cause) {
    const hint = cause instanceof CorefileError ? cause.hint : undefined;
    throw badValue(value, `invalid duration for reload '${value.text}'`, hint);
  }
  if (reloadMs < 0) {
    throw badValue(value, `invalid negative duration for reload '${formatDuration(reloadMs)}'`);
  }
  return reloadMs;
}

/** CoreDNS serves without the file, and reads it when it comes. */
function checkFile(
  path: string,
  token: Token | undefined,
  use: DirectiveUse,
  context: ParseContext,
): void {
  try {
    if (statSync(path).isDirectory()) {
      context.warn(`plugin/hosts: Hosts file "${path}" is a directory`);
    }
  } catch (cause) {
    const reason = reasonOf(cause);
    if (cause instanceof Error && 'code' in cause && cause.code === 'ENOENT') {
      context.warn(`plugin/hosts: File does not exist: ${path}`);
      return;
    }
    const what = `unable to access hosts file '${path}': ${reason}`;
    throw new CorefileError('COREFILE_FILE', token ?? use.place, what, { cause });
  }
}

function inlineLine(line: OptionLine, context: ParseContext): string {
  const text = [line.name, ...line.args].map((token) => token.text).join(' ');
  if (readHostsLine(text) === undefined) {
    const meant = nearest(line.name.text, Object.keys(OPTIONS));
    const guess = meant === undefined ? '' : `; did you mean the option ${meant}?`;
    context.warn(
      `plugin/hosts: ${line.name.file}:${line.name.line}: ignored, as it is neither an option nor ` +
        `an address with names: ${text}${guess}`,
    );
  }
  return text;
}

function lateLine(use: DirectiveUse, line: OptionLine): CorefileError {
  if (readHostsLine(`${line.name.text} x`) === undefined) {
    return unknownOption(use, line.name, Object.keys(OPTIONS));
  }
  const what = `unknown property '${line.name.text}'`;
  const hint = 'inline lines stand before fallthrough';
  return new CorefileError('COREFILE_UNKNOWN_OPTION', line.name, what, { hint });
}

class Hosts implements Handler {
  readonly name = 'hosts';
  readonly seesHits = false;
  readonly #config: HostsConfig;
  #table: HostsTable;

  constructor(config: HostsConfig, context: BuildContext) {
    this.#config = config;
    const inline = config.inline.join('\n');
    this.#table = new HostsTable([inline], config);
    const { log, metrics } = context;
    const entries = metrics.gauge('coredns_hosts_entries', { hostsfile: config.file });
    entries.value = this.#table.entries;
    const file = new WatchedFile(
      config.file,
      ({ text, modifiedMs }) => {
        this.#table = new HostsTable([text, inline], config);
        entries.value = this.#table.entries;
        metrics.gauge('coredns_hosts_reload_timestamp_seconds', {}).value = modifiedMs / 1000;
        log.debug(`plugin/hosts: Parsed hosts file into ${entries.value} entries`);
      },
      (octets) => {
        log.warning(`plugin/hosts: Hosts file ${config.file} is not read: ${octets} bytes`);
      },
    );
    file.readNow();
    if (config.reloadMs > 0) context.onStart(() => file.watch(config.reloadMs));
    context.onStop(() => file.stop());
  }

  onQuery(query: Query): Verdict {
    const { name, qtype } = query;
    const { zones, fallthrough, fallthroughUnsupported } = this.#config;
    // Addresses are not in the zones that their names are in, so PTR is looked up whatever these are.
    if (qtype === PTR) return this.#answerNames(query);
    if (!zones.some((zone) => isInZone(name, zone))) return PASS;
    const falls = fallthrough.some((zone) => isInZone(name, zone));
    const known = this.#table.addressesOf(name);
    if (falls && fallthroughUnsupported && qtype !== A && qtype !== AAAA) return PASS;
    if (known === undefined) {
      if (falls) return PASS;
      // A bare SERVFAIL, and no error: a hosts file has no SOA that an NXDOMAIN would need.
      query.answer(Response.failed(query, SERVFAIL, ''));
      return ANSWERED;
    }
    const addresses = qtype === A ? known.ipv4 : qtype === AAAA ? known.ipv6 : [];
    return this.#answer(
      query,
      addresses.map((octets) => this.#record(query, { kind: 'octets', octets })),
    );
  }

  #answerNames(query: Query): Verdict {
    const names = this.#table.namesOf(query.name);
    if (names === undefined) return PASS;
    return this.#answer(
      query,
      names.map((target) => this.#record(query, { kind: 'name', target })),
    );
  }

  #answer(query: Query, answers: readonly ResourceRecord[]): Verdict {
    query.answer(synthesize(query, 'hosts', { answers }));
    return ANSWERED;
  }

  #record(query: Query, rdata: ResourceRecord['rdata']): ResourceRecord {
    const { ttlSec } = this.#config;
    return { name: query.name, type: query.qtype, rrClass: IN, ttlSec, rdata };
  }
}
