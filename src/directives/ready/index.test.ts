import { describe, expect, test } from 'vitest';
import { HTTP_ENDPOINT, READINESS_PROOF } from '../contributions.ts';
import { contributed, refusal } from '../testing.ts';
import { ready } from './index.ts';

describe('ready', () => {
  test.each([
    { use: 'ready', host: '', port: 8181, continuously: false },
    { use: 'ready 169.254.20.10:8081', host: '169.254.20.10', port: 8081, continuously: false },
    { use: 'ready {\nmonitor until-ready\n}', host: '', port: 8181, continuously: false },
    { use: 'ready [::1]:1 {\nmonitor continuously\n}', host: '::1', port: 1, continuously: true },
    {
      use: 'ready {\nmonitor continuously\nmonitor until-ready\n}',
      host: '',
      port: 8181,
      continuously: false,
    },
  ])('$use', ({ use, host, port, continuously }) => {
    const at = { host, port };
    expect(contributed(ready, HTTP_ENDPOINT, use)).toMatchObject([{ at, kind: 'ready' }]);
    const proof = { continuously, isFallback: false };
    expect(contributed(ready, READINESS_PROOF, use)).toEqual([proof]);
  });

  test.each([
    ['ready x', 'Corefile:1:7: ready: address x: missing port in address'],
    ['ready :1 :2', "ready: Wrong argument count or unexpected line ending after ':2'"],
    ['ready {\nmonitor\n}', 'Corefile:2:1: ready: monitor: Wrong argument count'],
    ['ready {\nmonitor 404\n}', 'Corefile:2:9: ready: monitor: '],
    ['ready {\nmonitro continuously\n}', 'did you mean "monitor"?'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(ready, use)).toContain(message);
  });
});
