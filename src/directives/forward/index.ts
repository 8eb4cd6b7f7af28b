/**
 * `forward`: its syntax. What it does with queries is in handler.ts; the engine, which knows nothing
 * of Corefiles, is src/upstream/.
 *
 * Owns:    the syntax, defaults and ranges.
 */
import { isIP } from 'node:net';
import type { DirectiveUse } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { zonesFromArgument } from '../../corefile/keys.ts';
import {
  type OptionTable,
  countArguments,
  flag,
  one,
  oneOrMore,
  option,
  readOptions,
  readUse,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import {
  badValue,
  formatDuration,
  parseDuration,
  parseInteger,
  parseUnsigned,
} from '../../corefile/values.ts';
import { NOERROR, rcodeFromName } from '../../dns/rcode.ts';
import { formatHostPort } from '../../net/host-port.ts';
import type { HealthCheckConfig } from '../../upstream/config.ts';
import { NEEDS_UPSTREAMS } from '../contributions.ts';
import type { Directive } from '../directive.ts';
import { readAddress } from './addresses.ts';
import type { ForwardUse } from './config.ts';
import { explainForward } from './explain.ts';
import { ForwardHandler } from './handler.ts';
import {
  DNS_PORT,
  TARGETS_MAX,
  type Tls,
  type To,
  readNameservers,
  readTls,
  readTo,
} from './targets.ts';

const EXPIRE_MS = 10_000;
const FAILS_MAX = 2;
const CHECK_INTERVAL_MS = 500;
const READ_TIMEOUT_MS = 2000;

type Draft = { -readonly [Key in keyof ForwardUse['config']]: ForwardUse['config'][Key] } & {
  forceTcp: boolean;
  preferTcp: boolean;
  preferUdp: boolean;
  tls: Tls;
  dohMethod: 'GET' | 'POST';
  source: string | undefined;
  resolvers: readonly string[];
};

const OPTIONS: OptionTable<Draft> = {
  except: oneOrMore((draft, first, rest) => {
    draft.except = [
      ...draft.except,
      ...[first, ...rest].flatMap(({ text }) => zonesFromArgument(text)),
    ];
  }),
  force_tcp: flag((draft) => {
    draft.forceTcp = true;
  }),
  prefer_udp: flag((draft) => {
    draft.preferUdp = true;
  }),
  // Ours: TCP, but UDP to upstreams that take none.
  prefer_tcp: flag((draft) => {
    draft.preferTcp = true;
  }),
  expire: one((draft, value) => {
    draft.expireMs = notNegative(value, parseDuration(value), `expire can't be negative`);
  }),
  max_fails: one((draft, value) => {
    draft.failsMax = parseUnsigned(value);
  }),
  max_connect_attempts: one((draft, value) => {
    draft.attemptsMax = parseUnsigned(value);
  }),
  health_check: option(1, 4, (draft, [interval, ...rest]) => {
    draft.healthCheck = readHealthCheck(interval!, rest);
  }),
  policy: one((draft, value) => {
    const { text } = value;
    if (text !== 'random' && text !== 'round_robin' && text !== 'sequential') {
      throw badValue(value, `unknown policy '${text}'`, 'expected random, round_robin, sequential');
    }
    draft.policy = text;
  }),
  max_concurrent: one((draft, value) => {
    draft.concurrentMax = notNegative(
      value,
      parseInteger(value),
      `max_concurrent can't be negative`,
    );
  }),
  next: oneOrMore((draft, first, rest) => {
    draft.next = [...draft.next, ...[first, ...rest].map(readRcode)];
  }),
  failover: oneOrMore((draft, first, rest) => {
    if (first.text === 'none' && rest.length === 0) {
      draft.failover = [];
      return;
    }
    const rcodes = [first, ...rest].map((token) => {
      const rcode = readRcode(token);
      if (rcode === NOERROR) throw badValue(token, 'NoError cannot be used in failover');
      return rcode;
    });
    draft.failover = [...(draft.failover ?? []), ...rcodes];
  }),
  failfast_all_unhealthy_upstreams: flag((draft) => {
    draft.failFast = true;
  }),
  tls: option(0, 3, (draft, args) => {
    draft.tls = { ...draft.tls, ...readTls(args) };
  }),
  tls_servername: one((draft, name) => {
    draft.tls = { ...draft.tls, serverName: name.text };
  }),
  max_age: one((draft, value) => {
    draft.ageMaxMs = notNegative(value, parseDuration(value), `max_age can't be negative`);
  }),
  max_idle_conns: one((draft, value) => {
    draft.idleMax = notNegative(value, parseInteger(value), `max_idle_conns can't be negative`);
  }),
  read_timeout: one((draft, value) => {
    draft.readTimeoutMs = parseDuration(value);
    if (draft.readTimeoutMs > 0) return;
    throw badValue(value, `read_timeout must be positive: ${value.text}`, 'such as 2s');
  }),
  next_on_nodata: flag((draft) => {
    draft.nextOnNodata = true;
  }),
  doh_method: one((draft, value) => {
    const { text } = value;
    if (text !== 'GET' && text !== 'POST') {
      throw badValue(value, 'doh_method must be either POST or GET', 'expected POST, GET');
    }
    draft.dohMethod = text;
  }),
  resolver: oneOrMore((draft, first, rest) => {
    draft.resolvers = [first, ...rest].map((token) => {
      const address = readAddress(token.text, DNS_PORT);
      if (address !== undefined) return formatHostPort(address);
      const what = `resolver must be an IP address or IP:port: "${token.text}"`;
      throw badValue(token, what, 'such as 10.0.0.1 or [fd00::1]:5353');
    });
  }),
  source_address: one((draft, value) => {
    if (isIP(value.text) === 0) throw badValue(value, `invalid IP address: ${value.text}`);
    draft.source = value.text;
  }),
};

export const forward: Directive<ForwardUse> = {
  name: 'forward',
  repeat: 'accumulate',

  parse: (use, context) => readUse(use, () => readForward(use, context.warn)),

  contribute: (_, block) => block.add(NEEDS_UPSTREAMS, true),

  build: (uses, context) => new ForwardHandler(uses, context),

  explain: explainForward,
};

function readForward(use: DirectiveUse, warn: (message: string) => void): ForwardUse {
  const [from, ...to] = countArguments(use, 2);
  const zones = zonesFromArgument(from!.text);
  const [zone] = zones;
  if (zone === undefined) throw badValue(from!, `unable to normalize '${from!.text}'`);
  if (zones.length > 1) {
    warn(
      `plugin/forward: Unsupported CIDR notation: '${from!.text}' expands to multiple zones. ` +
        `Using only '${zone}'.`,
    );
  }
  const draft = readOptions(use, OPTIONS, initialDraft(zone));
  const { forceTcp, preferTcp, preferUdp, tls, dohMethod, source, resolvers, ...config } = draft;
  if (config.ageMaxMs > 0 && config.ageMaxMs < config.expireMs) {
    const [age, expire] = [formatDuration(config.ageMaxMs), formatDuration(config.expireMs)];
    const what = `max_age (${age}) must not be less than expire (${expire})`;
    throw new CorefileError('COREFILE_CONFLICT', use.place, what);
  }
  const readTos = to.map((token) => readTo(token, { tls, dohMethod, source }));
  refuseTooMany(to, readTos);
  if (source !== undefined) warnOfFamilies(readTos, source, warn);
  return {
    config: {
      ...config,
      transport: forceTcp || preferTcp ? 'tcp' : preferUdp ? 'udp' : 'client',
      tcpOptional: preferTcp && !forceTcp,
    },
    to: readTos,
    source,
    resolvers,
  };
}

/** What files name now is counted in; what names lead to is not known yet. */
function refuseTooMany(tokens: readonly Token[], to: readonly To[]): void {
  let count = 0;
  let last = 0;
  to.forEach(({ file }, i) => {
    if (count <= TARGETS_MAX) last = i;
    count += file === undefined ? 1 : readNameservers(file).length;
  });
  if (count <= TARGETS_MAX) return;
  throw badValue(tokens[last]!, `more than ${TARGETS_MAX} TOs configured: ${count}`);
}

function warnOfFamilies(to: readonly To[], source: string, warn: (message: string) => void): void {
  const family = isIP(source);
  for (const { target } of to) {
    if (target === undefined || isIP(target.host) === family) continue;
    const label = formatHostPort(target);
    warn(`plugin/forward: ${label} cannot be asked from source_address ${source}`);
  }
}

function initialDraft(zone: string): Draft {
  return {
    from: zone,
    except: [],
    transport: 'client',
    forceTcp: false,
    preferUdp: false,
    expireMs: EXPIRE_MS,
    failsMax: FAILS_MAX,
    healthCheck: { intervalMs: CHECK_INTERVAL_MS, recursionDesired: true, domain: '.' },
    policy: 'random',
    concurrentMax: 0,
    next: [],
    nextOnNodata: false,
    failover: undefined,
    tcpOptional: false,
    preferTcp: false,
    failFast: false,
    ageMaxMs: 0,
    idleMax: 0,
    readTimeoutMs: READ_TIMEOUT_MS,
    attemptsMax: 0,
    tls: {},
    dohMethod: 'POST',
    source: undefined,
    resolvers: [],
  };
}

function notNegative(token: Token, value: number, what: string): number {
  if (value >= 0) return value;
  throw badValue(token, `${what}: ${token.text}`, 'expected at least 0');
}

/** DURATION [no_rec] [domain FQDN] */
function readHealthCheck(interval: Token, rest: readonly Token[]): HealthCheckConfig {
  const intervalMs = notNegative(
    interval,
    parseDuration(interval),
    `health_check can't be negative`,
  );
  let recursionDesired = true;
  let domain = '.';
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (word.text === 'no_rec') {
      recursionDesired = false;
    } else if (word.text === 'domain') {
      const name = rest[++i];
      if (name === undefined) {
        throw badValue(word, 'health_check: domain needs a name', 'expected domain FQDN');
      }
      const [zone] = zonesFromArgument(name.text);
      if (zone === undefined) {
        throw badValue(name, `health_check: invalid domain name ${name.text}`);
      }
      domain = zone;
    } else {
      throw badValue(word, `health_check: unknown option ${word.text}`, 'expected no_rec, domain');
    }
  }
  return { intervalMs, recursionDesired, domain };
}

function readRcode(token: Token): number {
  const rcode = rcodeFromName(token.text);
  if (rcode === undefined) {
    throw badValue(token, `${token.text} is not a valid rcode`, 'such as SERVFAIL or NXDOMAIN');
  }
  return rcode;
}
