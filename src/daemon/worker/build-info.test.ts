import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { MetricsPage } from '../../http/metrics.ts';
import { Metrics } from '../../observe/metrics.ts';
import { COREDNS_VERSION, countBuild } from './build-info.ts';
import { VERSION } from './version.ts';

test('coredns_build_info names the CoreDNS whose metrics we speak, nodelocald_build_info names us', async () => {
  const metrics = new Metrics();
  countBuild(metrics);
  const { body } = await new MetricsPage(metrics).page();
  const goversion = `node ${process.version}`;
  expect(body.split('\n')).toEqual(
    expect.arrayContaining([
      `coredns_build_info{version="1.13.2",revision="",goversion="${goversion}"} 1`,
      `nodelocald_build_info{version="${VERSION}"} 1`,
    ]),
  );
});

test.each(['README.md', 'docs/differences.md', 'docs/metrics.md'])(
  '%s compares with the version of CoreDNS that coredns_build_info names',
  (page) => {
    const text = readFileSync(new URL(`../../../${page}`, import.meta.url), 'utf8');
    expect(text).toContain(`CoreDNS ${COREDNS_VERSION})`);
  },
);
