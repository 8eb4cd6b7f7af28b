import { describe, expect, test } from 'vitest';
import { emptySettings, parseAs, refusal } from '../testing.ts';
import { prometheus } from './index.ts';

describe('prometheus', () => {
  test.each([
    { use: 'prometheus', host: 'localhost', port: 9153 },
    { use: 'prometheus :9253', host: '', port: 9253 },
    { use: 'prometheus 0.0.0.0:0', host: '0.0.0.0', port: 0 },
    { use: 'prometheus [fd00::1]:65535', host: 'fd00::1', port: 65_535 },
  ])('$use', ({ use, host, port }) => {
    const settings = emptySettings();
    prometheus.settle!([parseAs(prometheus, use)], settings);
    expect(settings.metricsAt).toEqual({ host, port });
  });

  test.each([
    ['prometheus x', 'Corefile:1:12: prometheus: address x: missing port in address'],
    ['prometheus :65536', 'expected a port from 0 to 65535'],
    ['prometheus :1 :2', 'Corefile:1:15: prometheus: Wrong argument count'],
    ['prometheus {\n}', 'prometheus takes no block'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(prometheus, use)).toContain(message);
  });
});
