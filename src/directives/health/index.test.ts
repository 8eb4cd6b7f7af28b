import { describe, expect, test } from 'vitest';
import { HTTP_ENDPOINT, LAMEDUCK_MS } from '../contributions.ts';
import { contributed, parseAs, refusal } from '../testing.ts';
import { health } from './index.ts';

describe('health', () => {
  test.each([
    { use: 'health', host: '', port: 8080, lameduckMs: 0 },
    { use: 'health 169.254.20.10:8080', host: '169.254.20.10', port: 8080, lameduckMs: 0 },
    { use: 'health [::1]:1', host: '::1', port: 1, lameduckMs: 0 },
    { use: 'health :65535 {\nlameduck 5s\n}', host: '', port: 65_535, lameduckMs: 5000 },
    { use: 'health {\nlameduck 0\n}', host: '', port: 8080, lameduckMs: 0 },
    { use: 'health {\nlameduck -5s\n}', host: '', port: 8080, lameduckMs: 0 },
  ])('$use', ({ use, host, port, lameduckMs }) => {
    expect(parseAs(health, use)).toEqual({ address: { host, port }, lameduckMs });
  });

  test.each([
    ['health x', 'Corefile:1:8: health: address x: missing port in address'],
    ['health ::1:53', 'address ::1:53: too many colons in address'],
    [
      'health :1 :2',
      "Corefile:1:11: health: Wrong argument count or unexpected line ending after ':2'",
    ],
    [
      'health {\nlameduck 5\n}',
      `unable to parse lameduck duration value: '5' : time: missing unit in duration "5"`,
    ],
    ['health {\nlameduck\n}', 'Corefile:2:1: health: lameduck: Wrong argument count'],
    ['health {\nfoo\n}', "(unknown property 'foo')"],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(health, use)).toContain(message);
  });

  test('of several uses of health the last one counts', () => {
    const uses = ['health :1 {\nlameduck 5s\n}', 'health :2'];
    const at = { host: '', port: 2 };
    expect(contributed(health, HTTP_ENDPOINT, ...uses)).toMatchObject([{ at, kind: 'health' }]);
    expect(contributed(health, LAMEDUCK_MS, ...uses)).toEqual([0]);
  });
});
