import { describe, expect, test } from 'vitest';
import { parseResolvConf } from './resolv-conf.ts';

describe('the nameserver lines of a file (resolv.conf(5))', () => {
  test.each([
    { text: 'nameserver 192.0.2.1\nnameserver 2001:db8::1\n', hosts: ['192.0.2.1', '2001:db8::1'] },
    { text: '\tnameserver\t192.0.2.1   trailing words\r\n', hosts: ['192.0.2.1'] },
    { text: '# nameserver 192.0.2.1\n; nameserver 192.0.2.2\n', hosts: [] },
    { text: 'search example.com\noptions ndots:5\ndomain example.com', hosts: [] },
    { text: 'nameserver fe80::1%eth0', hosts: ['fe80::1'] },
    { text: 'nameserver dns.example\nnameserver\nnameserver 192.0.2.300', hosts: [] },
    { text: 'nameserver 192.0.2.1\n'.repeat(5), hosts: Array(5).fill('192.0.2.1') as string[] },
    { text: '', hosts: [] },
  ])('$text', ({ text, hosts }) => {
    expect(parseResolvConf(text)).toEqual(hosts);
  });
});
