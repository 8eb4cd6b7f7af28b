import { describe, expect, test } from 'vitest';
import type { UpstreamTarget } from '../../upstream/config.ts';
import { testBuilding } from '../testing.ts';
import { UsableTargets, isOwn } from './usable.ts';

const LOCAL = ['127.0.0.1', '::1', '169.254.20.10', 'fd00::1'];
const at = (host: string, port = 53): UpstreamTarget => ({ host, port, tls: undefined });

describe('an upstream that is ourselves', () => {
  test.each([
    { to: at('169.254.20.10'), on: [{ host: '169.254.20.10', port: 53 }], is: true },
    { to: at('169.254.20.10', 54), on: [{ host: '169.254.20.10', port: 53 }], is: false },
    { to: at('10.96.0.11'), on: [{ host: '169.254.20.10', port: 53 }], is: false },
    { to: at('127.0.0.1'), on: [{ host: '', port: 53 }], is: true },
    { to: at('fd00::1'), on: [{ host: '::', port: 53 }], is: true },
    { to: at('fd00::1'), on: [{ host: '0.0.0.0', port: 53 }], is: false },
    { to: at('192.0.2.1'), on: [{ host: '', port: 53 }], is: false },
    { to: at('127.0.0.53'), on: [{ host: '', port: 53 }], is: false },
  ])('$to.host:$to.port with listeners $on: $is', ({ to, on, is }) => {
    expect(isOwn(to, on, () => LOCAL)).toBe(is);
  });
});

describe('what is used', () => {
  const listeners = [{ host: '169.254.20.10', port: 53 }];

  test('on a node we are left out, told once, and in trouble for as long as it is so', () => {
    const context = { ...testBuilding(['.'], listeners), onLoop: 'disable' as const };
    const usable = new UsableTargets(context);
    expect(context.troubles.lines()).toEqual(['the block . has no upstream']);
    const [us, other] = [at('169.254.20.10'), at('192.0.2.1')];
    expect(usable.choose([us, other])).toEqual([other]);
    expect(usable.choose([us, other])).toEqual([other]);
    expect(context.log.lines).toEqual([
      '[ERROR] plugin/forward: not used by the block ., as we are it: 169.254.20.10:53',
    ]);
    expect(context.troubles.lines()).toEqual(['an upstream of . is us: 169.254.20.10:53']);
    expect(usable.choose([us])).toEqual([]);
    expect(context.troubles.lines('upstream')).toEqual(['the block . has no upstream']);
    expect(usable.choose([other])).toEqual([other]);
    expect(context.troubles.lines()).toEqual([]);
    usable.choose([us]);
    context.stop();
    expect(context.troubles.lines()).toEqual([]);
  });

  test('elsewhere that is for loop to find, as in CoreDNS', () => {
    const usable = new UsableTargets(testBuilding(['.'], listeners));
    expect(usable.choose([at('169.254.20.10')])).toHaveLength(1);
  });
});
