/**
 * Every directive, in the order of the chain: a query passes them from top to bottom, a response from
 * bottom to top. The order is that of CoreDNS 1.13's plugin.cfg, which Corefiles rely on.
 *
 * Owns:    the list, and so the order of every block's chain.
 */
import { bind } from './bind/index.ts';
import { bufsize } from './bufsize/index.ts';
import { cache } from './cache/index.ts';
import { debug } from './debug/index.ts';
import type { Directive } from './directive.ts';
import { dns64 } from './dns64/index.ts';
import { errors } from './errors/index.ts';
import { forward } from './forward/index.ts';
import { health } from './health/index.ts';
import { hosts } from './hosts/index.ts';
import { loadbalance } from './loadbalance/index.ts';
import { log } from './log/index.ts';
import { loop } from './loop/index.ts';
import { metadata } from './metadata/index.ts';
import { pprof } from './pprof/index.ts';
import { prometheus } from './prometheus/index.ts';
import { ready } from './ready/index.ts';
import { reload } from './reload/index.ts';
import { rewrite } from './rewrite/index.ts';
import { template } from './template/index.ts';
import { timeouts } from './timeouts/index.ts';
import { tls } from './tls/index.ts';
import { trace } from './trace/index.ts';
import { whoami } from './whoami/index.ts';

export const DIRECTIVES: readonly Directive<unknown>[] = [
  metadata,
  tls,
  timeouts,
  reload,
  bufsize,
  bind,
  debug,
  trace,
  ready,
  health,
  pprof,
  prometheus,
  errors,
  log,
  dns64,
  loadbalance,
  cache,
  rewrite,
  template,
  hosts,
  loop,
  forward,
  whoami,
];
