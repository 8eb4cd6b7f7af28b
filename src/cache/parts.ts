/** The parts that the modules of one block's cache share. */
import type { AnswerCache } from './answer-cache.ts';
import type { CacheConfig } from './config.ts';
import type { CacheCounters } from './counters.ts';
import type { Cuts } from './denial/cut.ts';

export interface CacheParts {
  readonly config: CacheConfig;
  readonly cache: AnswerCache;
  /** Undefined if `nxdomain_cut` is off. */
  readonly cuts: Cuts | undefined;
  /** By address index. */
  readonly counters: readonly CacheCounters[];
}
