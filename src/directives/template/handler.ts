/**
 * The templates of one block: which of them has something to say to a query, and what.
 *
 * Owns:    the order of things: class and type, zone, expressions; the records; CNAMEs that are followed
 *          through the whole server. One answer for every RCODE, where CoreDNS sends two for some.
 */
import type { GoRegexp } from '../../corefile/go-regexp.ts';
import { type ResourceRecord, decodeMessage } from '../../dns/codec.ts';
import { TC } from '../../dns/header.ts';
import { nameFromText } from '../../dns/name.ts';
import { SERVFAIL } from '../../dns/rcode.ts';
import { A, AAAA, CNAME, className, typeName } from '../../dns/rrtype.ts';
import { isInZone, isInZones } from '../../dns/in-zone.ts';
import { recordFromText } from '../../dns/zone-text/zone-text.ts';
import { ZoneTextError } from '../../dns/zone-text/words.ts';
import { TemplateError } from '../../gotemplate/error.ts';
import type { Template } from '../../gotemplate/template.ts';
import type { Value } from '../../gotemplate/values.ts';
import type { Counter } from '../../observe/counters.ts';
import type { Metrics } from '../../observe/metrics.ts';
import type { AddressIndex } from '../../query/address-index.ts';
import { lookUp } from '../../query/lookup.ts';
import type { Query } from '../../query/query.ts';
import { type ExtendedError, Response } from '../../query/response.ts';
import { synthesize } from '../../query/synthesize.ts';
import { ANSWERED, LATER, PASS, type Verdict } from '../../query/verdict.ts';
import type { BuildContext, Handler } from '../directive.ts';
import { type Matched, dataOf } from './data.ts';

export type Section = 'answer' | 'authority' | 'additional';

export interface TemplateConfig {
  readonly qclass: number;
  readonly qtype: number;
  readonly zones: readonly string[];
  /** Empty: every name matches. */
  readonly patterns: readonly GoRegexp[];
  readonly answer: readonly Template[];
  readonly authority: readonly Template[];
  readonly additional: readonly Template[];
  /** 0 to 15. */
  readonly rcode: number;
  readonly extendedError: ExtendedError | undefined;
  /** Zones whose names go on to the next template if no expression matches; empty: none. */
  readonly fallthrough: readonly string[];
}

const ANY = 255;
/** The expression that CoreDNS puts in the place of a missing `match`. */
const EVERYTHING = '.*';
const NO_GROUPS: ReadonlyMap<string, number> = new Map();

export class Templates implements Handler {
  readonly name = 'template';
  readonly seesHits = false;
  readonly #templates: readonly OneTemplate[];

  constructor(configs: readonly TemplateConfig[], context: BuildContext) {
    this.#templates = configs.map((config) => new OneTemplate(config, context));
  }

  onQuery(query: Query): Verdict {
    const templates = this.#templates;
    for (let i = 0; i < templates.length; i++) {
      const verdict = templates[i]!.onQuery(query);
      if (verdict !== PASS) return verdict;
    }
    return PASS;
  }
}

/** Sections that are filled, and the TC of what was looked up. */
interface Records {
  readonly answers: ResourceRecord[];
  readonly authorities: ResourceRecord[];
  readonly additionals: ResourceRecord[];
  truncated: boolean;
}

class OneTemplate {
  readonly #config: TemplateConfig;
  readonly #hasRecords: boolean;
  readonly #counters: TemplateCounters;

  constructor(config: TemplateConfig, { metrics, servers }: BuildContext) {
    this.#config = config;
    this.#counters = new TemplateCounters(metrics, servers);
    const { answer, authority, additional } = config;
    this.#hasRecords = answer.length + authority.length + additional.length > 0;
  }

  /** PASS means: the next template. */
  onQuery(query: Query): Verdict {
    const { qclass, qtype, zones, patterns, fallthrough } = this.#config;
    // The test that most queries fail comes first, before a text of their name is made.
    if (qtype !== ANY && query.qtype !== ANY && query.qtype !== qtype) return PASS;
    if (qclass !== ANY && query.qclass !== ANY && query.qclass !== qclass) return PASS;
    const { name } = query;
    const zone = longestZone(zones, name);
    if (zone === undefined) return PASS;
    if (patterns.length === 0) return this.#answer(query, zone, EVERYTHING, NO_GROUPS, [name]);
    for (const pattern of patterns) {
      const match = pattern.match(name);
      if (match !== undefined) {
        return this.#answer(query, zone, pattern.source, pattern.groupNames, match);
      }
    }
    if (isInZones(name, fallthrough)) return PASS;
    query.answer(Response.failed(query, SERVFAIL, ''));
    return ANSWERED;
  }

  #answer(
    query: Query,
    zone: string,
    regex: string,
    groupNames: ReadonlyMap<string, number>,
    match: readonly (string | undefined)[],
  ): Verdict {
    const config = this.#config;
    const qclass = query.qclass === ANY ? config.qclass : query.qclass;
    const qtype = query.qtype === ANY ? config.qtype : query.qtype;
    this.#counters.matches(query.addressIndex, zone, qclass, qtype).value++;
    if (config.rcode === SERVFAIL) {
      query.answer(Response.failed(query, SERVFAIL, ''));
      return ANSWERED;
    }
    if (!this.#hasRecords) {
      this.#reply(query, EMPTY);
      return ANSWERED;
    }
    const [rrClass, type] = [className(qclass), typeName(qtype)];
    const matched: Matched = { query, zone, rrClass, type, regex, match, groupNames };
    let records: Records;
    try {
      records = this.#records(matched);
    } catch (error) {
      if (!(error instanceof TemplateError || error instanceof ZoneTextError)) throw error;
      query.answer(Response.failed(query, SERVFAIL, error.message));
      return ANSWERED;
    }
    return this.#follow(query, records, 0);
  }

  #records(matched: Matched): Records {
    const data = dataOf(matched);
    const { answer, authority, additional } = this.#config;
    const fill = (section: Section, templates: readonly Template[]): ResourceRecord[] =>
      templates.map((template) => this.#record(matched, data, section, template));
    return {
      answers: fill('answer', answer),
      authorities: fill('authority', authority),
      additionals: fill('additional', additional),
      truncated: false,
    };
  }

  #record(matched: Matched, data: Value, section: Section, template: Template): ResourceRecord {
    try {
      return recordFromText(template.execute(data));
    } catch (error) {
      if (error instanceof TemplateError) this.#counters.templateFailed(matched, section, template);
      else this.#counters.recordFailed(matched, section, template);
      throw error;
    }
  }

  /** Follows the CNAMEs among the answers from the one at `from` on, one after the other. */
  #follow(query: Query, records: Records, from: number): Verdict {
    const isAddress = query.qtype === A || query.qtype === AAAA;
    const answers = isAddress ? records.answers : [];
    for (let i = from; i < answers.length; i++) {
      const { type, rdata } = answers[i]!;
      const target =
        type === CNAME && rdata.kind === 'name' ? nameFromText(rdata.target) : undefined;
      if (target === undefined) continue;
      lookUp(query, { name: target }, ({ message }) => {
        const found = decodeMessage(message.wire)?.answers ?? [];
        answers.splice(i + 1, 0, ...found);
        if ((message.wire[2]! & TC) !== 0) records.truncated = true;
        this.#follow(query, records, i + 1 + found.length);
      });
      return LATER;
    }
    this.#reply(query, records);
    return ANSWERED;
  }

  #reply(query: Query, { answers, authorities, additionals, truncated }: Records): void {
    const { rcode, extendedError } = this.#config;
    // Field by field: copying an object takes longer than all the rest of an empty answer.
    const response = synthesize(query, 'template', {
      rcode,
      answers,
      authorities,
      additionals,
      truncated,
      extendedError,
    });
    // Another template may have something to say of the same name and another type.
    response.message.ofTypeOnly = true;
    query.answer(response);
  }
}

const EMPTY: Records = { answers: [], authorities: [], additionals: [], truncated: false };

function longestZone(zones: readonly string[], name: string): string | undefined {
  let longest: string | undefined;
  for (const zone of zones) {
    if (isInZone(name, zone) && !(longest !== undefined && longest.length > zone.length)) {
      longest = zone;
    }
  }
  return longest;
}

/** Types without a name share a label: a client may ask for any of them. */
const OTHER = 'other';

interface FailureLabels {
  readonly server: string;
  readonly zone: string;
  readonly view: string;
  readonly class: string;
  readonly type: string;
  readonly section: string;
  readonly template: string;
}

class TemplateCounters {
  readonly #metrics: Metrics;
  readonly #servers: readonly string[];
  /** By address index, zone, then class and type as one number. */
  readonly #matches: readonly Map<string, Map<number, Counter>>[];

  constructor(metrics: Metrics, servers: readonly string[]) {
    this.#metrics = metrics;
    this.#servers = servers;
    this.#matches = servers.map(() => new Map());
  }

  matches(addressIndex: AddressIndex, zone: string, qclass: number, qtype: number): Counter {
    const byZone = this.#matches[addressIndex]!;
    let byType = byZone.get(zone);
    if (byType === undefined) byZone.set(zone, (byType = new Map()));
    const key = qclass * 0x10000 + qtype;
    const known = byType.get(key);
    if (known !== undefined) return known;
    const [rrClass, type] = [label(className(qclass), 'CLASS'), label(typeName(qtype), 'TYPE')];
    const labels = { server: this.#servers[addressIndex]!, zone, view: '', class: rrClass, type };
    const counter = this.#metrics.counter('coredns_template_matches_total', labels);
    // Only what has a label of its own is remembered: there are few of those.
    if (rrClass !== OTHER && type !== OTHER) byType.set(key, counter);
    return counter;
  }

  templateFailed(matched: Matched, section: Section, template: Template): void {
    const labels = this.#failure(matched, section, template);
    this.#metrics.counter('coredns_template_template_failures_total', labels).value++;
  }

  recordFailed(matched: Matched, section: Section, template: Template): void {
    const labels = this.#failure(matched, section, template);
    this.#metrics.counter('coredns_template_rr_failures_total', labels).value++;
  }

  #failure(
    { query, zone, rrClass, type }: Matched,
    section: Section,
    template: Template,
  ): FailureLabels {
    return {
      server: this.#servers[query.addressIndex]!,
      zone,
      view: '',
      class: label(rrClass, 'CLASS'),
      type: label(type, 'TYPE'),
      section,
      template: template.text,
    };
  }
}

function label(name: string, prefix: string): string {
  return name.startsWith(prefix) ? OTHER : name;
}
