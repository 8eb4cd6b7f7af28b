import { describe, expect, test } from 'vitest';
import { parseUse } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { readUse } from '../../corefile/options.ts';
import { LISTEN_ADDRESS } from '../contributions.ts';
import { contributed, refusal } from '../testing.ts';
import { bind, parse } from './index.ts';

const interfaces = new Map([
  ['lo', ['127.0.0.1', '::1']],
  ['eth0', ['192.0.2.1', '192.0.2.2', 'fe80::1%eth0']],
  ['nodelocaldns', ['169.254.20.10']],
  ['bare', []],
]);

describe('bind', () => {
  test.each([
    { use: 'bind 169.254.20.10', is: ['169.254.20.10'] },
    { use: 'bind 0.0.0.0 ::', is: ['0.0.0.0', '::'] },
    { use: 'bind 2001:DB8:0::1', is: ['2001:db8::1'] },
    { use: 'bind lo', is: ['127.0.0.1', '::1'] },
    { use: 'bind eth0 127.0.0.1', is: ['192.0.2.1', '192.0.2.2', 'fe80::1%eth0', '127.0.0.1'] },
    { use: 'bind eth0 {\nexcept 192.0.2.1 fe80::1%eth0\n}', is: ['192.0.2.2'] },
    { use: 'bind eth0 lo {\nexcept eth0\nexcept ::1\n}', is: ['127.0.0.1'] },
    { use: 'bind bare lo', is: ['127.0.0.1', '::1'] },
  ])('$use is $is', ({ use, is }) => {
    expect(parse(parseUse(use), interfaces)).toEqual(is);
  });

  test.each([
    ['bind', 'Corefile:1:1: bind: at least one address or interface name is expected'],
    [
      'bind x',
      'Corefile:1:6: bind: not a valid IP address or interface name: "x"; interfaces here: lo',
    ],
    ['bind etho', 'did you mean "eth0"?'],
    ['bind 1.2.3.4:53', 'not a valid IP address or interface name: "1.2.3.4:53"'],
    ['bind [::1]', 'not a valid IP address or interface name: "[::1]"'],
    [
      'bind lo {\nexcept\n}',
      'bind: except: at least one address or interface must be given to except subdirective',
    ],
    ['bind lo {\nfoo\n}', 'Corefile:2:1: bind: "foo" is not an option'],
    [
      'bind lo {\nexcept lo\n}',
      'Corefile:1:1: bind: except leaves no address to listen on; found 127.0.0.1, ::1',
    ],
    ['bind bare', 'Corefile:1:1: bind: the interfaces have no address; found none'],
  ])('%j is refused: %s', (text, message) => {
    const use = parseUse(text);
    const read = (): unknown => readUse(use, () => parse(use, interfaces));
    expect(read).toThrow(CorefileError);
    expect(read).toThrow(message);
  });

  test('several uses of bind add up, in their order', () => {
    const uses = ['bind 192.0.2.2', 'bind 192.0.2.1 ::1'];
    const addresses = contributed(bind, LISTEN_ADDRESS, ...uses);
    expect(addresses).toEqual(['192.0.2.2', '192.0.2.1', '::1']);
  });

  test('an unknown interface is refused with those of the machine', () => {
    expect(refusal(bind, 'bind no-such-interface')).toContain('interfaces here: ');
  });
});
