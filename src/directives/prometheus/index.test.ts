import { describe, expect, test } from 'vitest';
import { HTTP_ENDPOINT, QUERY_COUNTERS } from '../contributions.ts';
import { contributed, parseAs, refusal } from '../testing.ts';
import { prometheus } from './index.ts';

describe('prometheus', () => {
  test.each([
    { use: 'prometheus', host: 'localhost', port: 9153 },
    { use: 'prometheus :9253', host: '', port: 9253 },
    { use: 'prometheus 0.0.0.0:0', host: '0.0.0.0', port: 0 },
    { use: 'prometheus [fd00::1]:65535', host: 'fd00::1', port: 65_535 },
    { use: 'prometheus {\n}', host: 'localhost', port: 9153 },
    { use: 'prometheus :1 {\nruntime_metrics\n}', host: '', port: 1 },
    { use: 'prometheus :1 {\ntls web.yml\n}', host: '', port: 1, tlsConfigFile: 'web.yml' },
  ])('$use', ({ use, ...place }) => {
    expect(parseAs(prometheus, use)).toEqual(place);
  });

  test('prometheus serves metrics at its address, and has the queries of its block counted', () => {
    const use = 'prometheus :1 {\ntls web.yml\n}';
    const [endpoint] = contributed(prometheus, HTTP_ENDPOINT, use);
    expect(endpoint).toMatchObject({
      at: { host: '', port: 1 },
      kind: 'metrics',
      variant: 'TLS by web.yml',
    });
    expect(contributed(prometheus, QUERY_COUNTERS, use)).toEqual(['prometheus']);
  });

  test.each([
    ['prometheus x', 'Corefile:1:12: prometheus: address x: missing port in address'],
    ['prometheus :65536', 'expected a port from 0 to 65535'],
    ['prometheus :1 :2', 'Corefile:1:15: prometheus: Wrong argument count'],
    ['prometheus {\nruntime_metrics x\n}', 'Corefile:2:17: prometheus: runtime_metrics: Wrong arg'],
    ['prometheus {\ntls\n}', 'Corefile:2:1: prometheus: tls: Wrong argument count'],
    ['prometheus {\ntls a b\n}', 'Corefile:2:7: prometheus: tls: Wrong argument count'],
    ['prometheus {\ntls a\ntls b\n}', 'Corefile:3:1: prometheus: tls: given a second time'],
    ['prometheus {\nfoo\n}', "unknown property 'foo'"],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(prometheus, use)).toContain(message);
  });
});
