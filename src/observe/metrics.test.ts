import { describe, expect, test } from 'vitest';
import { Histogram } from './counters.ts';
import { METRICS, type MetricDefinition, Metrics } from './metrics.ts';

const DEFINITIONS = Object.entries(METRICS) as [string, MetricDefinition][];

describe('the table of metrics', () => {
  test.each(DEFINITIONS)('%s is well-formed', (name, { kind, help, labels, bounds }) => {
    expect(name).toMatch(/^(coredns|nodelocald)_[a-z0-9_]+$/);
    expect(help).toMatch(/\S/);
    expect(new Set(labels).size).toBe(labels.length);
    for (const label of labels) expect(label).toMatch(/^[a-z_]+$/);
    expect(bounds !== undefined).toBe(kind === 'histogram');
    expect([...(bounds ?? [])].toSorted((a, b) => a - b)).toEqual(bounds ?? []);
    if (kind === 'counter') expect(name).toMatch(/_total$/);
  });

  test('the bounds of times are CoreDNS’s, from 0.25 ms, doubled 15 times', () => {
    const { bounds } = METRICS.coredns_dns_request_duration_seconds;
    expect([bounds.length, bounds[0], bounds.at(-1)]).toEqual([16, 0.00025, 8.192]);
  });
});

describe('series', () => {
  test('a series is the same object for the same labels, in any order', () => {
    const metrics = new Metrics();
    const one = metrics.counter('coredns_cache_requests_total', {
      server: 's',
      zones: '.',
      view: '',
    });
    one.value++;
    const same = metrics.counter('coredns_cache_requests_total', {
      view: '',
      zones: '.',
      server: 's',
    });
    const other = metrics.counter('coredns_cache_requests_total', {
      server: 's',
      zones: '',
      view: '.',
    });
    expect(same).toBe(one);
    expect(other.value).toBe(0);
  });

  test('series appear in the order of the table once they are used', () => {
    const metrics = new Metrics();
    metrics.counter('nodelocald_expired_queries_total', {});
    metrics.histogram('coredns_health_request_duration_seconds', {}).observe(1);
    metrics.gauge('nodelocald_tcp_clients', { server: 's' }).value = 3;
    const names = [...metrics.families()].map(([name]) => name);
    expect(names).toEqual(Object.keys(METRICS).filter((name) => names.includes(name as never)));
    expect(names).toHaveLength(3);
  });

  test('series of values that come and go can be cleared', () => {
    const metrics = new Metrics();
    metrics.gauge('coredns_reload_version_info', { hash: 'sha512', value: 'a' }).value = 1;
    metrics.clear('coredns_reload_version_info');
    metrics.gauge('coredns_reload_version_info', { hash: 'sha512', value: 'b' });
    const [[, , series]] = [...metrics.families()] as [[unknown, unknown, readonly unknown[]]];
    expect(series).toMatchObject([{ labels: { value: 'b' }, data: { value: 0 } }]);
  });
});

describe('a histogram', () => {
  test.each([
    { value: -1, bucket: 0 },
    { value: 0, bucket: 0 },
    { value: 1, bucket: 0 }, // an upper bound belongs to its bucket
    { value: 1.001, bucket: 1 },
    { value: 10, bucket: 1 },
    { value: 11, bucket: 2 },
    { value: Infinity, bucket: 2 },
  ])('a histogram counts $value in bucket $bucket', ({ value, bucket }) => {
    const histogram = new Histogram([1, 10]);
    histogram.observe(value);
    expect([...histogram.counts]).toEqual([0, 1, 2].map((i) => (i === bucket ? 1 : 0)));
  });

  test('a histogram counts many observations of one value at once', () => {
    const histogram = new Histogram([1]);
    histogram.observeTimes(0.5, 64);
    histogram.observeTimes(2, 0);
    expect([...histogram.counts]).toEqual([64, 0]);
    expect(histogram.sum).toBe(32);
  });
});
