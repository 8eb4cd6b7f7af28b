/**
 * The table of docs/ndots.md: queries that upstreams see of a day of pods' lookups, with a plain
 * cache, without and with `nxdomain_cut`. It prints what the page should say if it says otherwise.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { ANCOUNT_AT, readU16 } from '../../src/dns/header.ts';
import { typeFromName } from '../../src/dns/rrtype.ts';
import { ZONE, answerOfCluster, answerOfWorld } from './cluster-model.ts';
import { type Lookup, NODE_DOMAIN, type Traffic, dayOfTraffic } from './ndots-traffic.ts';
import { type Authority, Node } from './node.ts';

const PAGE = new URL('../../docs/ndots.md', import.meta.url);
const TYPES = ['A', 'AAAA'] as const;
const SUCCESS_MAX_SEC = 30;
/** The busier days take a minute, so they run only where the table is asked for. */
const PRINTS = process.env['NDOTS_TABLE'] !== undefined;

/** The blocks of nodelocaldns.yaml. */
const ZONES = [
  { zone: ZONE, denialMaxSec: 5 },
  { zone: NODE_DOMAIN, denialMaxSec: 30 },
  { zone: '.', denialMaxSec: 30 },
];

/** Queries upstream by zone, and those of the cluster's zone in lookups of external names. */
class Counts {
  readonly byZone: Record<string, number> = {};
  searches = 0;
  /** The lookup under way. */
  external = false;

  authorityOf(traffic: Traffic, zone: string): Authority {
    return (name, qtype) => {
      this.byZone[zone] = (this.byZone[zone] ?? 0) + 1;
      if (zone === ZONE && this.external) this.searches++;
      if (zone === ZONE) return answerOfCluster(traffic.cluster, name, qtype);
      return answerOfWorld(traffic.world, zone, name, qtype);
    };
  }
}

/** Asks A and AAAA of each candidate, until A says that it is there. Returns the questions asked. */
function walk(lookup: Lookup, isThere: (name: string, type: string) => boolean): number {
  let asked = 0;
  for (const name of lookup.candidates) {
    const found = TYPES.map((type) => isThere(name, type));
    asked += TYPES.length;
    if (found[0] === true) break;
  }
  return asked;
}

/** A cache of one entry for each name and type, with the TTLs of the others here. */
function plainCache(traffic: Traffic): { counts: Counts; asked: number } {
  const counts = new Counts();
  const untilSec = new Map<string, { at: number; there: boolean }>();
  let asked = 0;
  for (const lookup of traffic.lookups) {
    counts.external = lookup.external;
    asked += walk(lookup, (name, type) => {
      const key = `${name} ${type}`;
      const kept = untilSec.get(key);
      if (kept !== undefined && Math.floor(lookup.atSec * 10) < kept.at) return kept.there;
      const { zone, denialMaxSec } = ZONES.find(({ zone }) => zone === '.' || name.endsWith(zone))!;
      const answer = counts.authorityOf(traffic, zone)(name, typeFromName(type)!);
      const there = (answer.answers ?? []).length > 0;
      const ttlSec = there
        ? Math.min(SUCCESS_MAX_SEC, answer.answers![0]!.ttlSec)
        : Math.min(denialMaxSec, answer.authorities![0]!.ttlSec);
      untilSec.set(key, { at: Math.floor(lookup.atSec * 10) + ttlSec * 10, there });
      return there;
    });
  }
  return { counts, asked };
}

/** Our cache, with options in the blocks of the cluster's zone and of the node's domain. */
function ours(traffic: Traffic, options: Readonly<Record<string, string>> = {}): Counts {
  const counts = new Counts();
  const node = new Node(
    ZONES.map(({ zone, denialMaxSec }) => ({
      zone,
      cache: `cache {\n success 9984 30\n denial 9984 ${denialMaxSec}\n ${options[zone] ?? 'servfail 5s'}\n}`,
      upstream: counts.authorityOf(traffic, zone),
    })),
  );
  try {
    let nowSec = 0;
    for (const lookup of traffic.lookups) {
      node.pass((lookup.atSec - nowSec) * 1000);
      nowSec = lookup.atSec;
      counts.external = lookup.external;
      walk(lookup, (name, type) => readU16(node.ask(name, type), ANCOUNT_AT) > 0);
    }
    return counts;
  } finally {
    node.end();
  }
}

const CACHES = [
  'a plain cache: each name and type for itself',
  'denials that cover other types',
  'and `nxdomain_cut kubernetes`',
  'and `nxdomain_cut search` for the node’s domain',
];

function replay(perSec: number): { rows: Counts[]; asked: number; lookups: number } {
  const traffic = dayOfTraffic(perSec);
  const plain = plainCache(traffic);
  const rows = [
    plain.counts,
    ours(traffic),
    ours(traffic, { [ZONE]: 'nxdomain_cut kubernetes' }),
    ours(traffic, { [ZONE]: 'nxdomain_cut kubernetes', [NODE_DOMAIN]: 'nxdomain_cut search' }),
  ];
  return { rows, asked: plain.asked, lookups: traffic.lookups.length };
}

const count = (n: number): string => n.toLocaleString('en-US');

function table(): { text: string; days: ReturnType<typeof replay>[] } {
  const rates = PRINTS ? [1, 10, 50] : [1];
  const days = rates.map(replay);
  const lines = rates.flatMap((perSec, day) => {
    const { rows, asked, lookups } = days[day]!;
    return rows.map((counts, i) => {
      const toCluster = counts.byZone[ZONE]!;
      const part = Math.round((100 * toCluster) / rows[0]!.byZone[ZONE]!);
      const cells = [
        i === 0 ? `${perSec}/s: ${count(lookups)}, ${count(asked)}` : '',
        CACHES[i]!,
        count(toCluster),
        `${part} %`,
        count(counts.searches),
        count(counts.byZone[NODE_DOMAIN]!),
        count(counts.byZone['.']!),
      ];
      return `| ${cells.join(' | ')} |`;
    });
  });
  return { text: lines.join('\n'), days };
}

describe('docs/ndots.md', { timeout: 120_000 }, () => {
  test('docs/ndots.md has the table that a day of traffic gives, and the search list costs kube-dns less', () => {
    const { text, days } = table();
    if (PRINTS) console.log(text);
    for (const { rows } of days) {
      const [plain, covering, cuts] = rows.map((counts) => counts.byZone[ZONE]!);
      expect(covering!).toBeLessThan(plain!);
      expect(cuts!).toBeLessThan(covering!);
      for (const zone of [NODE_DOMAIN, '.'])
        expect(rows[2]!.byZone[zone]).toBe(rows[1]!.byZone[zone]);
      expect(rows[3]!.byZone[NODE_DOMAIN]!).toBeLessThan(rows[2]!.byZone[NODE_DOMAIN]!);
      for (const zone of [ZONE, '.']) expect(rows[3]!.byZone[zone]).toBe(rows[2]!.byZone[zone]);
    }
    const squeezed = readFileSync(PAGE, 'utf8').replaceAll(/ +/g, ' ');
    for (const line of text.split('\n')) expect(squeezed).toContain(line.replaceAll(/ +/g, ' '));
  });
});
