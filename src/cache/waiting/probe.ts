/**
 * Probes under way: for each name one at most, and the queries that wait for its outcome.
 *
 *   (none) --begin--> patient --ended--> (none)     its waiters go on with what is known now
 *                        '----late-----> late       its waiters go on without; no query joins any more
 *                                         '--ended--> (none)
 *
 * Owns: when a name above is asked about, the sending, and the end of each wait for it.
 */
import { HEADER_OCTETS } from '../../dns/header.ts';
import { namesEqual } from '../../dns/name.ts';
import type { QueryFacts } from '../../dns/question.ts';
import type { Query } from '../../query/query.ts';
import type { Response } from '../../query/response.ts';
import { nowMs, toDs } from '../../sys/clock.ts';
import type { ChainBelow } from '../chain-below.ts';
import { type Cuts, type UnknownName, questionAbove } from '../denial/cut.ts';
import { type Keeper, bringsNews } from '../keeper.ts';
import { denialKey } from '../key.ts';
import type { CacheParts } from '../parts.ts';

/**
 * How long a query waits for news of a name above it before it is asked for itself: many round trips
 * within a cluster, and little of the 5 s that a stub resolver has.
 */
const PATIENCE_MS = 250;

interface Probe {
  readonly key: number;
  readonly question: QueryFacts;
  waiters: Query[];
  late: boolean;
}

export class Probes {
  readonly #parts: CacheParts;
  readonly #cuts: Cuts;
  readonly #below: ChainBelow;
  readonly #keeper: Keeper;
  readonly #resume: (query: Query) => void;
  readonly #byKey = new Map<number, Probe>();

  /** `resume` lets a waiter go on with what is known by then. */
  constructor(
    parts: CacheParts,
    cuts: Cuts,
    below: ChainBelow,
    keeper: Keeper,
    resume: (query: Query) => void,
  ) {
    this.#parts = parts;
    this.#cuts = cuts;
    this.#below = below;
    this.#keeper = keeper;
    this.#resume = resume;
  }

  /**
   * Whether the query now waits for news of the name above it; the first to wait begins the probe. It does
   * not wait for a name that has just been asked about in vain, nor while no upstream can be reached.
   */
  letWait(query: Query, { nameOctets, nameHash }: UnknownName, nowDs: number): boolean {
    const key = denialKey(nameHash, query);
    const probe = this.#byKey.get(key);
    if (probe !== undefined) return joins(probe, query, nameOctets);
    if (this.#cuts.isResting(key, nowDs) || !this.#below.isReachable()) return false;
    this.#begin(
      {
        key,
        question: questionAbove(query, nameOctets),
        waiters: [query],
        late: false,
      },
      query,
    );
    return true;
  }

  #begin(probe: Probe, { addressIndex }: Query): void {
    this.#parts.counters[addressIndex]!.cutProbes.value++;
    this.#byKey.set(probe.key, probe);
    setTimeout(() => {
      probe.late = true;
      this.#letGo(probe);
    }, PATIENCE_MS).unref();
    this.#below.ask(probe.question, addressIndex, (own, response) =>
      this.#ended(probe, own, response),
    );
  }

  #ended(probe: Probe, own: Query, response: Response): void {
    if (bringsNews(response)) this.#keeper.keep(own, response);
    this.#cuts.rest(probe.key, toDs(nowMs()));
    this.#byKey.delete(probe.key);
    this.#letGo(probe);
  }

  #letGo(probe: Probe): void {
    const { waiters } = probe;
    probe.waiters = [];
    for (const query of waiters) this.#resume(query);
  }
}

/** Makes the query wait, if the probe asks for the last `nameOctets` octets of its QNAME. */
function joins(probe: Probe, query: Query, nameOctets: number): boolean {
  const { msg, at, nameOctets: probedOctets } = probe.question;
  if (probe.late || probedOctets !== nameOctets) return false;
  const from = HEADER_OCTETS + query.nameOctets - nameOctets;
  if (!namesEqual(msg, at + HEADER_OCTETS, query.msg, from, nameOctets)) return false;
  probe.waiters.push(query);
  return true;
}
