import { expect, test } from 'vitest';
import { flagsFrom } from './flags.ts';
import { handedFlags, handedFlagsEnvironment } from './handed-flags.ts';
import { parseFlags } from './parse-flags.ts';

test('a worker is handed the very flags that its supervisor has read', () => {
  const flags = parseFlags([
    '-localip',
    '192.0.2.1',
    '-dns.port=1053',
    '-supervise=false',
    '-drain',
    '0',
  ]);
  const environment = { PATH: '/bin', ...handedFlagsEnvironment(flags) };
  expect(handedFlags(environment)).toEqual(flags);
  expect(environment).toEqual({ PATH: '/bin' });
});

test('a supervisor of an older version leaves the worker to read its arguments', () => {
  expect(handedFlags({ PATH: '/bin' })).toBeUndefined();
});

test('a flag that the supervisor’s version did not know has its default', () => {
  const environment = { NODELOCALD_FLAGS: JSON.stringify({ quiet: true }) };
  expect(handedFlags(environment)).toEqual({ ...flagsFrom(new Map()), quiet: true });
});
