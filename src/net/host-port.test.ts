import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bracketed, formatHostPort, reachableHost, splitHostPort } from './host-port.ts';

describe('a host and its port as text', () => {
  test.each([
    { host: '127.0.0.1', port: 53, text: '127.0.0.1:53' },
    { host: '::1', port: 1, text: '[::1]:1' },
    { host: 'fe80::1%eth0', port: 53, text: '[fe80::1%eth0]:53' },
    { host: '', port: 8080, text: ':8080' },
    { host: 'dns.example', port: 853, text: 'dns.example:853' },
  ])('$text is written with brackets only where IPv6 needs them', ({ host, port, text }) => {
    expect(formatHostPort({ host, port })).toBe(text);
    expect(splitHostPort(text)).toEqual({ host, port: `${port}` });
  });

  test('an IPv6 address is put into brackets and an IPv4 address is not', () => {
    expect([bracketed('::1'), bracketed('10.0.0.1')]).toEqual(['[::1]', '10.0.0.1']);
  });

  test.each([
    ['53', 'missing port in address'],
    ['::1:53', 'too many colons in address'],
    ['[::1]', 'missing port in address'],
    ['[::1', "missing ']' in address"],
    ['[::1]53', 'missing port in address'],
    ['[::1]:53:54', 'too many colons in address'],
    ['a]:53', "unexpected ']' in address"],
  ])('%s is refused in the words of Go', (text, problem) => {
    expect(splitHostPort(text)).toBe(problem);
  });

  test('any text is either split or refused with a reason', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        const split = splitHostPort(text);
        if (typeof split === 'string') expect(split).toContain('in address');
        else expect(text.endsWith(`:${split.port}`)).toBe(true);
      }),
    );
  });
});

test.each([
  ['', '127.0.0.1'],
  ['0.0.0.0', '127.0.0.1'],
  ['localhost', '127.0.0.1'],
  ['::', '::1'],
  ['169.254.20.10', '169.254.20.10'],
])('a server that listens on "%s" is reached at %s', (host, reachable) => {
  expect(reachableHost(host)).toBe(reachable);
});
