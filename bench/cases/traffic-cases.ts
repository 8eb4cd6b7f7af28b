/** The cases in which servers answer traffic, as a table; measure.ts runs them. */
import type { ServerName } from '../servers/servers.ts';
import { absentHosts, freshHosts, hosts, kubernetesTraffic } from './traffic.ts';
import type { Question } from '../servers/message.ts';

export interface TrafficCase {
  readonly name: string;
  readonly about: string;
  readonly servers: readonly ServerName[];
  readonly transport: 'udp' | 'tcp';
  readonly upstreamTransport: 'udp' | 'tcp';
  /** Sockets of the load. */
  readonly clients: number;
  /** Queries unanswered at a time; 1 is measured with bench/latency.c, more with dnsperf. */
  readonly outstanding: number;
  /**
   * `hits`: all are in the cache before the measurement, and the upstream must see none.
   * `misses`: none was ever asked before, so each round has its own. `mixed`: some of both.
   */
  readonly answers: 'hits' | 'mixed' | 'misses';
  /** Makes the query file; `tag` differs for each call and `seconds` is how long it should last. */
  readonly questions: (tag: string, seconds: number) => Question[];
}

/** Names in the hit cases: half of the cache, so that no server evicts under measurement. */
const HOT_NAMES = 5000;
/** Of 5 queries each; what a server answers beyond that starts again at the first. */
const LOOKUPS_PER_SEC = 25_000;
/** More misses a second than any server here resolves on one core. */
const MISSES_PER_SEC_MAX = 80_000;

const UDP_SERVERS: readonly ServerName[] = ['floor', 'nodelocald', 'unbound', 'dnsdist', 'dnsmasq'];

export const TRAFFIC_CASES: readonly TrafficCase[] = [
  {
    name: 'udp-hit',
    about: 'cached answers over UDP, 100 outstanding',
    servers: UDP_SERVERS,
    transport: 'udp',
    upstreamTransport: 'udp',
    clients: 10,
    outstanding: 100,
    answers: 'hits',
    questions: () => hosts(HOT_NAMES),
  },
  {
    name: 'tcp-hit',
    about: 'cached answers over TCP, 20 connections, 100 outstanding',
    // Not dnsmasq: it forks for each connection and closes it after 100 queries.
    servers: ['nodelocald', 'unbound', 'dnsdist'],
    transport: 'tcp',
    upstreamTransport: 'udp',
    clients: 20,
    outstanding: 100,
    answers: 'hits',
    questions: () => hosts(HOT_NAMES),
  },
  {
    name: 'nxdomain-hit',
    about: 'cached NXDOMAIN over UDP, 100 outstanding',
    servers: UDP_SERVERS,
    transport: 'udp',
    upstreamTransport: 'udp',
    clients: 10,
    outstanding: 100,
    answers: 'hits',
    questions: () => absentHosts(HOT_NAMES),
  },
  {
    name: 'kubernetes',
    about: "pods' lookups through the search list, 2 % never asked before, 100 outstanding",
    servers: UDP_SERVERS,
    transport: 'udp',
    upstreamTransport: 'udp',
    clients: 10,
    outstanding: 100,
    answers: 'mixed',
    questions: (tag, seconds) => kubernetesTraffic(tag, seconds * LOOKUPS_PER_SEC),
  },
  {
    name: 'one-at-a-time',
    about: 'cached answers over UDP, each query after the last answer',
    servers: UDP_SERVERS,
    transport: 'udp',
    upstreamTransport: 'udp',
    clients: 1,
    outstanding: 1,
    answers: 'hits',
    questions: () => hosts(HOT_NAMES),
  },
  {
    name: 'miss-tcp',
    about: 'names never asked before, forwarded over TCP, 100 outstanding',
    servers: ['nodelocald', 'unbound', 'dnsdist', 'dnsdist-nocache'],
    transport: 'udp',
    upstreamTransport: 'tcp',
    clients: 10,
    outstanding: 100,
    answers: 'misses',
    questions: (tag, seconds) => freshHosts(tag, Math.ceil(seconds * MISSES_PER_SEC_MAX)),
  },
];
