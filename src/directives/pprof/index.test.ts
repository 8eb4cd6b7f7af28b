import { describe, expect, test } from 'vitest';
import { HTTP_ENDPOINT } from '../contributions.ts';
import { contributed, refusal } from '../testing.ts';
import { pprof } from './index.ts';

describe('pprof', () => {
  test.each([
    { use: 'pprof', at: { host: 'localhost', port: 6053 } },
    { use: 'pprof :6060', at: { host: '', port: 6060 } },
    { use: 'pprof [::1]:6060', at: { host: '::1', port: 6060 } },
    { use: 'pprof {\nblock\n}', at: { host: 'localhost', port: 6053 } },
    { use: 'pprof 127.0.0.1:1 {\nblock 20\n}', at: { host: '127.0.0.1', port: 1 } },
  ])('$use', ({ use, at }) => {
    expect(contributed(pprof, HTTP_ENDPOINT, use)).toMatchObject([{ at, kind: 'pprof' }]);
  });

  test.each([
    ['pprof x', 'Corefile:1:7: pprof: address x: missing port in address'],
    ['pprof :1 :2', 'Corefile:1:10: pprof: Wrong argument count'],
    [
      'pprof {\nblock x\n}',
      "Corefile:2:7: pprof: block: property 'block' invalid integer value 'x'",
    ],
    ['pprof {\nblock 0\n}', "invalid integer value '0'"],
    ['pprof {\nblock -1\n}', "invalid integer value '-1'"],
    ['pprof {\nblock 1 2\n}', 'Corefile:2:9: pprof: block: Wrong argument count'],
    ['pprof {\nfoo\n}', 'Corefile:2:1: pprof: "foo" is not an option (unknown property \'foo\')'],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(pprof, use)).toContain(message);
  });

  test('pprof may stand once in a block', () => {
    expect(pprof.repeat).toBe('refuse');
  });
});
