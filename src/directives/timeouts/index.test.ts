import { describe, expect, test } from 'vitest';
import { TCP_TIMEOUTS } from '../contributions.ts';
import { contributed, parseAs, refusal } from '../testing.ts';
import { timeouts } from './index.ts';

describe('timeouts', () => {
  test.each([
    { options: 'read 1s', is: { firstMs: 1000 } },
    { options: 'read 24h', is: { firstMs: 86_400_000 } },
    { options: 'write 7', is: { writeMs: 7000 } },
    { options: 'idle 1m30s', is: { idleMs: 90_000 } },
    { options: 'maxtcpqueries 1', is: { queriesMax: 1 } },
    { options: 'maxtcpqueries -1', is: { queriesMax: 0 } },
    {
      options: 'read 2s\nwrite 3s\nidle 4s\nmaxtcpqueries 128\nread 5s',
      is: { firstMs: 5000, writeMs: 3000, idleMs: 4000, queriesMax: 128 },
    },
  ])('$options', ({ options, is }) => {
    expect(parseAs(timeouts, `timeouts {\n${options}\n}`)).toEqual(is);
  });

  test.each([
    ['timeouts', 'Corefile:1:1: timeouts: timeouts block with no timeouts specified'],
    ['timeouts {\n}', 'timeouts block with no timeouts specified'],
    ['timeouts 5s', 'Corefile:1:10: timeouts: Wrong argument count'],
    ['timeouts {\nread\n}', 'Corefile:2:1: timeouts: read: Wrong argument count'],
    ['timeouts {\nread 1s 2s\n}', 'Corefile:2:9: timeouts: read: Wrong argument count'],
    ['timeouts {\nread x\n}', "Corefile:2:6: timeouts: read: failed to parse duration 'x'"],
    [
      'timeouts {\nidle 0\n}',
      "Corefile:2:6: timeouts: idle: timeout provided '0s' needs to be between 1 second and 24 hours",
    ],
    ['timeouts {\nwrite 999ms\n}', "timeout provided '999ms' needs to be between"],
    ['timeouts {\nwrite -5\n}', "timeout provided '-5s' needs to be between"],
    ['timeouts {\nread 24h1s\n}', "timeout provided '24h0m1s' needs to be between"],
    ['timeouts {\nfoo 1s\n}', 'Corefile:2:1: timeouts: "foo" is not an option'],
    [
      'timeouts {\nmaxtcpqueries 0\n}',
      "timeouts: maxtcpqueries: maxtcpqueries provided '0' needs to be -1 (unlimited) or a positive",
    ],
    ['timeouts {\nmaxtcpqueries -2\n}', "maxtcpqueries provided '-2' needs to be"],
    ['timeouts {\nmaxtcpqueries x\n}', "invalid value for maxtcpqueries 'x'"],
  ])('%j is refused: %s', (use, message) => {
    expect(refusal(timeouts, use)).toContain(message);
  });

  test('of several uses of timeouts a later one overrides the options that it names', () => {
    const uses = ['timeouts {\nread 2s\nidle 20s\n}', 'timeouts {\nread 4s\n}'];
    const times = contributed(timeouts, TCP_TIMEOUTS, ...uses);
    expect(Object.assign({}, ...times)).toEqual({ firstMs: 4000, idleMs: 20_000 });
  });
});
