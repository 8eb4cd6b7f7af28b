import { describe, expect, test } from 'vitest';
import type { Counter, Histogram } from '../observe/counters.ts';
import { Metrics } from '../observe/metrics.ts';
import { TCP, UDP } from '../query/responder.ts';
import { DnsCounters } from './dns-counters.ts';

const SERVER = { server: 'dns://:53', zone: 'a.test.', view: '' };

/** `{labels}`, those of the server left out, to the value or, of a histogram, to its observations. */
function all(metrics: Metrics, name: string): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [metric, { kind }, series] of metrics.families()) {
    if (metric !== name) continue;
    for (const { labels, data } of series) {
      expect(labels).toMatchObject(SERVER);
      const { server: _s, zone: _z, view: _v, ...own } = labels;
      found[Object.values(own).join(' ')] =
        kind === 'histogram'
          ? (data as Histogram).counts.reduce((a, b) => a + b, 0)
          : (data as Counter).value;
    }
  }
  return found;
}

function make(): { metrics: Metrics; counters: DnsCounters } {
  const metrics = new Metrics();
  return { metrics, counters: new DnsCounters(metrics, SERVER.server, SERVER.zone) };
}

describe('requests', () => {
  test.each([
    [1, 'A'],
    [28, 'AAAA'],
    [255, 'ANY'],
    [65, 'HTTPS'],
    [33, 'SRV'],
    [16, 'TXT'],
    [0, 'other'],
    [13, 'other'],
    [256, 'other'],
    [257, 'other'],
    [65535, 'other'],
  ])('requests of type %i are labelled %s, as in CoreDNS', (type, label) => {
    const { metrics, counters } = make();
    counters.countRequest(UDP, 1, type, 40, false);
    expect(all(metrics, 'coredns_dns_requests_total')).toEqual({ [`udp 1 ${label}`]: 1 });
  });

  test('requests are counted by transport and family', () => {
    const { metrics, counters } = make();
    for (const transport of [UDP, TCP] as const) {
      for (const family of [1, 2] as const) {
        counters.countRequest(transport, family, 1, 40, true);
        counters.countRequest(transport, family, 16, 40, false);
      }
    }
    expect(all(metrics, 'coredns_dns_requests_total')).toEqual({
      'udp 1 A': 1,
      'udp 2 A': 1,
      'tcp 1 A': 1,
      'tcp 2 A': 1,
      'udp 1 TXT': 1,
      'udp 2 TXT': 1,
      'tcp 1 TXT': 1,
      'tcp 2 TXT': 1,
    });
    expect(all(metrics, 'coredns_dns_request_size_bytes')).toEqual({ udp: 4, tcp: 4 });
    expect(all(metrics, 'coredns_dns_do_requests_total')).toEqual({ '': 4 });
  });
});

describe('responses', () => {
  test('responses of hits count as written by the directive that touched them last', () => {
    const metrics = new Metrics();
    const counters = new DnsCounters(metrics, SERVER.server, SERVER.zone, 'loadbalance');
    counters.countHit(UDP, 0, 40);
    expect(all(metrics, 'coredns_dns_responses_total')).toEqual({ 'NOERROR loadbalance': 1 });
  });

  test('responses are counted by RCODE and writer', () => {
    const { metrics, counters } = make();
    counters.countResponse(UDP, 0, 'forward', 100, 0.001);
    counters.countResponse(UDP, 0, 'hosts', 100, 0.001);
    counters.countResponse(TCP, 3, 'forward', 100, 0.001);
    counters.countResponse(TCP, 3, 'forward', 100, 0.001);
    counters.countResponse(TCP, 16, '', 0, 0.001);
    counters.countResponse(TCP, 4095, 'forward', 100, 0.001); // as an upstream may say
    expect(all(metrics, 'coredns_dns_responses_total')).toEqual({
      'NOERROR forward': 1,
      'NOERROR hosts': 1,
      'NXDOMAIN forward': 2,
      'BADVERS ': 1,
      'RCODE4095 forward': 1,
    });
    expect(all(metrics, 'coredns_dns_response_size_bytes')).toEqual({ udp: 2, tcp: 4 });
    expect(all(metrics, 'coredns_dns_request_duration_seconds')).toEqual({ '': 6 });
  });

  test('responses of hits share the time of their batch', () => {
    const { metrics, counters } = make();
    counters.countHit(UDP, 0, 60);
    counters.countHit(UDP, 3, 60);
    expect(all(metrics, 'coredns_dns_request_duration_seconds')).toEqual({ '': 0 });
    counters.endBatch(0.001);
    expect(counters.hitsInBatch).toBe(0);
    counters.endBatch(0.001);
    expect(all(metrics, 'coredns_dns_request_duration_seconds')).toEqual({ '': 2 });
    expect(all(metrics, 'coredns_dns_responses_total')).toEqual({
      'NOERROR cache': 1,
      'NXDOMAIN cache': 1,
    });
  });
});
