import { beforeEach, describe, expect, test } from 'vitest';
import { Metrics } from '../observe/metrics.ts';
import { MetricsPage, metricsServer } from './metrics.ts';

const zone = { server: 'dns://:53', zone: '.', view: '' };

let metrics: Metrics;
let page: MetricsPage;
beforeEach(() => {
  metrics = new Metrics();
  page = new MetricsPage(metrics);
});

/** Name, labels as printed, and value of each sample; throws at a line that is neither. */
async function scrape(): Promise<{ samples: Map<string, number>; types: Map<string, string> }> {
  const { status, body } = await page.page();
  expect(status).toBe(200);
  expect(body.endsWith('\n')).toBe(true);
  const samples = new Map<string, number>();
  const types = new Map<string, string>();
  for (const line of body.split('\n')) {
    const type = /^# TYPE (\S+) (\S+)$/.exec(line);
    if (type !== null) types.set(type[1]!, type[2]!);
    if (line === '' || line.startsWith('#')) continue;
    const sample =
      /^([a-zA-Z_:][\w:]*(?:\{(?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*",?)*\})?) (\S+)$/.exec(line);
    if (sample === null) throw new Error(`not a sample: ${line}`);
    expect(samples.has(sample[1]!)).toBe(false);
    samples.set(sample[1]!, Number(sample[2]));
  }
  return { samples, types };
}

describe('the page of metrics', () => {
  test('the page shows counters and gauges as they are when it is requested', async () => {
    const counter = metrics.counter('coredns_dns_do_requests_total', zone);
    const gauge = metrics.gauge('coredns_plugin_enabled', { ...zone, name: 'cache' });
    counter.value = 2;
    gauge.read = () => 7;
    const first = await scrape();
    const name = 'coredns_dns_do_requests_total{server="dns://:53",zone=".",view=""}';
    expect(first.samples.get(name)).toBe(2);
    expect(first.types.get('coredns_dns_do_requests_total')).toBe('counter');
    expect(
      first.samples.get('coredns_plugin_enabled{server="dns://:53",zone=".",view="",name="cache"}'),
    ).toBe(7);
    expect(first.types.get('coredns_plugin_enabled')).toBe('gauge');
    counter.value = 3;
    expect((await scrape()).samples.get(name)).toBe(3);
  });

  test('the page shows histograms with cumulative buckets, sum and count', async () => {
    const histogram = metrics.histogram('coredns_dns_request_duration_seconds', zone);
    histogram.observe(0.0002);
    histogram.observe(0.0003);
    histogram.observe(100);
    const { samples, types } = await scrape();
    const name = 'coredns_dns_request_duration_seconds';
    const labels = 'server="dns://:53",zone=".",view=""';
    const bucket = (le: string) => samples.get(`${name}_bucket{le="${le}",${labels}}`);
    expect(bucket('0.00025')).toBe(1);
    expect(bucket('0.0005')).toBe(2);
    expect(bucket('8.192')).toBe(2);
    expect(bucket('+Inf')).toBe(3);
    expect(samples.get(`${name}_sum{${labels}}`)).toBeCloseTo(100.0005);
    expect(samples.get(`${name}_count{${labels}}`)).toBe(3);
    expect(types.get(name)).toBe('histogram');
  });

  test('the page escapes label values', async () => {
    metrics.gauge('coredns_hosts_entries', { hostsfile: 'a"b\\c\nd' }).value = 1;
    const { samples } = await scrape();
    expect(samples.get(String.raw`coredns_hosts_entries{hostsfile="a\"b\\c\nd"}`)).toBe(1);
  });

  test('counters without labels are on the page from the start, at 0', async () => {
    const { samples } = await scrape();
    for (const name of [
      'coredns_panics_total',
      'coredns_reload_failed_total',
      'coredns_health_request_failures_total',
      'coredns_health_request_duration_seconds_count',
      'coredns_forward_max_concurrent_rejects_total',
    ]) {
      expect([name, samples.get(name)]).toEqual([name, 0]);
    }
  });

  test('series that were cleared leave the page', async () => {
    metrics.gauge('coredns_reload_version_info', { hash: 'sha512', value: 'x' }).value = 1;
    expect((await page.page()).body).toContain('value="x"');
    metrics.clear('coredns_reload_version_info');
    expect((await page.page()).body).not.toContain('value="x"');
  });

  test('a gauge that cannot be read is left out', async () => {
    metrics.gauge('nodelocald_upstream_outstanding', { to: 'bad' }).read = () => {
      throw new Error('ours');
    };
    metrics.gauge('nodelocald_upstream_outstanding', { to: 'good' }).value = 1;
    const { samples } = await scrape();
    expect(samples.has('nodelocald_upstream_outstanding{to="bad"}')).toBe(false);
    expect(samples.get('nodelocald_upstream_outstanding{to="good"}')).toBe(1);
  });

  test('the page has metrics of the process and of Node', async () => {
    const { samples, types } = await scrape();
    expect(samples.get('process_resident_memory_bytes')).toBeGreaterThan(0);
    expect(types.has('nodejs_eventloop_lag_seconds')).toBe(true);
  });

  test('a page of 5,000 series is rendered once for simultaneous requests', async () => {
    for (let i = 0; i < 4500; i++) {
      metrics.counter('coredns_dns_do_requests_total', { ...zone, zone: `z${i}.` }).value = i;
    }
    for (let i = 0; i < 500; i++) {
      metrics.histogram('coredns_dns_request_duration_seconds', { ...zone, zone: `z${i}.` });
    }
    const [one, other] = await Promise.all([page.page(), page.page()]);
    expect(one).toBe(other);
  });

  test('the page is served at /metrics, as Prometheus wants it', async () => {
    const server = metricsServer({ host: '127.0.0.1', port: 0 }, page);
    await server.listen();
    const answer = await fetch(`http://127.0.0.1:${server.port}/metrics`);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toContain('coredns_panics_total 0\n');
    await server.close();
  });
});
