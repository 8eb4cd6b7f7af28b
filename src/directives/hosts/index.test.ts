import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { askQuery } from '../../query/testing.ts';
import { PASS } from '../../query/verdict.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, parseAs, refusal, testBuilding, testParsing } from '../testing.ts';
import { hosts } from './index.ts';

let directory = '';
let file = '';

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), 'hosts-'));
  file = path.join(directory, 'hosts');
  writeFileSync(file, '');
});
afterEach(() => rmSync(directory, { recursive: true }));

interface Served {
  readonly handler: Handler;
  readonly context: TestBuilding;
}

function serve(options: string, zones: readonly string[] = ['.']): Served {
  const context = testBuilding(zones);
  const config = parseAs(hosts, `hosts ${file} {\n${options}\n}`, testParsing(zones));
  return { handler: hosts.build!([config], context)!, context };
}

/** `next` if the query is passed on, else the RCODE, flags and records. */
function ask({ handler }: Served, name: string, type: string, qclass = 'IN'): string {
  const { query, responses } = askQuery(name, type, { qclass });
  if (handler.onQuery!(query) === PASS) return 'next';
  const response = responses[0]!;
  if (response.failure !== undefined) return `bare ${response.rcode} ${response.failure.message}`;
  const { answers, authorities, rcode, flags } = decodeMessage(response.message.wire)!;
  expect(flags & 0x0480).toBe(0x0400); // AA, not RA
  expect(authorities).toEqual([]);
  const records = answers.map(({ name: owner, ttlSec, rdata }) => {
    if (rdata.kind === 'address') return `${owner} ${ttlSec} ${rdata.address}`;
    return `${owner} ${ttlSec} ${rdata.kind === 'name' ? rdata.target : rdata.kind}`;
  });
  return [rcode, ...records].join(' | ');
}

describe('options', () => {
  const base = {
    file: '/etc/hosts',
    zones: ['.'],
    inline: [],
    ttlSec: 3600,
    reverse: true,
    reloadMs: 5000,
    fallthrough: [],
    fallthroughUnsupported: false,
  };

  test.each([
    { text: 'hosts', config: {} },
    { text: 'hosts {\n}', config: {} },
    { text: 'hosts /dev/null', config: { file: '/dev/null' } },
    {
      text: 'hosts /dev/null A.Example 10.0.0.0/8',
      config: { file: '/dev/null', zones: ['a.example.', '10.in-addr.arpa.'] },
    },
    { text: 'hosts {\nttl 1\n}', config: { ttlSec: 1 } },
    { text: 'hosts {\nttl 65535\n}', config: { ttlSec: 65_535 } },
    { text: 'hosts {\nno_reverse\n}', config: { reverse: false } },
    { text: 'hosts {\nreload 0s\n}', config: { reloadMs: 0 } },
    { text: 'hosts {\nreload 1m\n}', config: { reloadMs: 60_000 } },
    { text: 'hosts {\nfallthrough\n}', config: { fallthrough: ['.'] } },
    { text: 'hosts {\nfallthrough b. C\n}', config: { fallthrough: ['b.', 'c.'] } },
    { text: 'hosts {\nfallthrough_unsupported\n}', config: { fallthroughUnsupported: true } },
    { text: 'hosts {\n1.2.3.4 a b\n::1 c\n}', config: { inline: ['1.2.3.4 a b', '::1 c'] } },
  ])('$text', ({ text, config }) => {
    expect(parseAs(hosts, text)).toEqual({ ...base, ...config });
  });

  test('the zones of hosts default to those of the block', () => {
    expect(parseAs(hosts, 'hosts', testParsing(['x.'])).zones).toEqual(['x.']);
  });

  test.each([
    ['ttl', 'Corefile:2:1: hosts: ttl: ttl needs a time in second'],
    ['ttl x', 'Corefile:2:5: hosts: ttl: ttl needs a number of second'],
    ['ttl 0', 'Corefile:2:5: hosts: ttl: ttl provided is invalid'],
    ['ttl 65536', 'Corefile:2:5: hosts: ttl: ttl provided is invalid'],
    ['reload', 'Corefile:2:1: hosts: reload: reload needs a duration (zero seconds to disable)'],
    ['reload x', "Corefile:2:8: hosts: reload: invalid duration for reload 'x'"],
    ['reload -1s', "Corefile:2:8: hosts: reload: invalid negative duration for reload '-1s'"],
    ['fallthrough\n1.2.3.4 a', "Corefile:3:1: hosts: unknown property '1.2.3.4'"],
    ['fallthrough\nno_revers', 'Corefile:3:1: hosts: "no_revers" is not an option'],
  ])('%j is refused: %s', (options, message) => {
    expect(refusal(hosts, `hosts {\n${options}\n}`)).toContain(message);
  });

  test('a hosts file that is missing, or is a directory, is logged, and hosts serves without it', () => {
    const context = testParsing();
    parseAs(hosts, `hosts ${directory}/none`, context);
    parseAs(hosts, `hosts ${directory}`, context);
    expect(context.warnings).toEqual([
      `plugin/hosts: File does not exist: ${directory}/none`,
      `plugin/hosts: Hosts file "${directory}" is a directory`,
    ]);
  });

  test('a hosts file that cannot be looked at is refused', () => {
    expect(refusal(hosts, `hosts ${file}/below`)).toContain(
      `Corefile:1:7: hosts: unable to access hosts file '${file}/below': ENOTDIR`,
    );
  });

  test('a line that is neither option nor address is ignored, with a warning', () => {
    const context = testParsing();
    parseAs(hosts, 'hosts {\nfallthrou\n}', context);
    expect(context.warnings[0]).toContain('Corefile:2: ignored');
    expect(context.warnings[0]).toContain('did you mean the option fallthrough?');
  });

  test('fallthrough_unsupported without fallthrough gives a warning', () => {
    const context = testParsing();
    parseAs(hosts, `hosts ${file} {\nfallthrough_unsupported\n}`, context);
    expect(context.warnings.at(-1)).toContain('fallthrough_unsupported requires fallthrough');
  });
});

describe('answers', () => {
  test.each([
    { name: 'a.example.', type: 'A', is: '0 | a.example. 60 192.0.2.1 | a.example. 60 192.0.2.2' },
    { name: 'A.Example.', type: 'A', is: '0 | A.Example. 60 192.0.2.1 | A.Example. 60 192.0.2.2' },
    { name: 'a.example.', type: 'AAAA', is: '0 | a.example. 60 2001:db8::1' },
    { name: 'v4.example.', type: 'AAAA', is: '0' },
    { name: 'v4.example.', type: 'MX', is: '0' },
    { name: 'v4.example.', type: 'TYPE65280', is: '0' },
    { name: 'v4.example.', type: 'ANY', is: '0' },
    { name: 'none.example.', type: 'A', is: 'bare 2 ' },
    { name: '.', type: 'NS', is: 'bare 2 ' },
    { name: 'mapped.example.', type: 'A', is: '0 | mapped.example. 60 192.0.2.9' },
    { name: 'zoned.example.', type: 'AAAA', is: '0 | zoned.example. 60 fe80::1' },
    { name: 'bad.example.', type: 'A', is: 'bare 2 ' },
    {
      name: 'twice.example.',
      type: 'A',
      is: '0 | twice.example. 60 192.0.2.8 | twice.example. 60 192.0.2.8',
    },
    {
      name: '1.2.0.192.in-addr.arpa.',
      type: 'PTR',
      is: '0 | 1.2.0.192.in-addr.arpa. 60 a.example. | 1.2.0.192.in-addr.arpa. 60 alias.example.',
    },
    { name: '7.2.0.192.in-addr.arpa.', type: 'PTR', is: 'next' },
    { name: '2.0.192.in-addr.arpa.', type: 'PTR', is: 'next' },
  ])('$name $type: $is', ({ name, type, is }) => {
    writeFileSync(
      file,
      '# comment\n192.0.2.1\ta.example  alias.example # more\n2001:db8::1 a.example\r\n' +
        '::ffff:192.0.2.9 mapped.example\nfe80::1%eth0 zoned.example\n1.2.3 bad.example\n' +
        '192.0.2.8 twice.example twice.example\n192.0.2.3\n',
    );
    const served = serve('ttl 60\n192.0.2.2 a.example\n192.0.2.4 v4.example');
    expect(ask(served, name, type)).toBe(is);
    expect(ask(served, name, type, 'CH')).toBe(is);
  });

  test('an IPv6 address has its 32 digits as a reverse name', () => {
    const served = serve('2001:db8::1 six.example');
    const name = `1.${'0.'.repeat(23)}8.b.d.0.1.0.0.2.ip6.arpa.`;
    expect(ask(served, name, 'PTR')).toBe(`0 | ${name} 3600 six.example.`);
  });

  test('a name outside the zones is passed on, a reverse name is answered', () => {
    const served = serve('192.0.2.1 a.example b.other', ['example.']);
    expect(ask(served, 'b.other.', 'A')).toBe('next');
    expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.1');
    expect(ask(served, '1.2.0.192.in-addr.arpa.', 'PTR')).toMatch(/a\.example\.$/);
  });

  test('hosts without reverse entries passes reverse names on', () => {
    const served = serve('no_reverse\n192.0.2.1 a.example');
    expect(ask(served, '1.2.0.192.in-addr.arpa.', 'PTR')).toBe('next');
  });

  test('unknown names fall through where the option says so', () => {
    const served = serve('192.0.2.1 a.example\nfallthrough other.example');
    expect(ask(served, 'x.example.', 'A')).toBe('bare 2 ');
    expect(ask(served, 'x.other.example.', 'A')).toBe('next');
    expect(ask(served, 'a.example.', 'MX')).toBe('0');
  });

  test('types that hosts does not know fall through where fallthrough_unsupported says so', () => {
    const served = serve('192.0.2.1 a.example\nfallthrough\nfallthrough_unsupported');
    expect(ask(served, 'a.example.', 'MX')).toBe('next');
    expect(ask(served, 'a.example.', 'AAAA')).toBe('0');
    const without = serve('192.0.2.1 a.example\nfallthrough_unsupported');
    expect(ask(without, 'a.example.', 'MX')).toBe('0');
  });

  test('a leading *. stands for one label, and exact names come first', () => {
    const served = serve('192.0.2.1 *.w.example\n192.0.2.2 x.w.example');
    expect(ask(served, 'any.w.example.', 'A')).toBe('0 | any.w.example. 3600 192.0.2.1');
    expect(ask(served, 'x.w.example.', 'A')).toBe('0 | x.w.example. 3600 192.0.2.2');
    expect(ask(served, 'x.w.example.', 'AAAA')).toBe('0');
    expect(ask(served, 'a.b.w.example.', 'A')).toBe('bare 2 ');
    expect(ask(served, 'w.example.', 'A')).toBe('bare 2 ');
    expect(ask(served, '1.2.0.192.in-addr.arpa.', 'PTR')).toBe('next');
  });
});

describe('the file', () => {
  test('the hosts file is read again when its time or size has changed, and kept when it has gone', async () => {
    writeFileSync(file, '192.0.2.1 a.example');
    const served = serve('reload 5ms');
    served.context.start();
    expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.1');
    writeFileSync(file, '192.0.2.2 a.example');
    utimesSync(file, 1000, 1000);
    await vi.waitFor(() => expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.2'));
    rmSync(file);
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.2');
    writeFileSync(file, '192.0.2.33 a.example');
    await vi.waitFor(() => expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.33'));
    served.context.stop();
    writeFileSync(file, '');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(ask(served, 'a.example.', 'A')).toContain('192.0.2.33');
  });

  test('the hosts file is read once with reload 0s', async () => {
    const served = serve('reload 0s');
    served.context.start();
    writeFileSync(file, '192.0.2.1 a.example');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(ask(served, 'a.example.', 'A')).toBe('bare 2 ');
    served.context.stop();
  });

  test('the hosts file has its entries counted, and its time in a metric', () => {
    writeFileSync(file, '192.0.2.1 a.example b.example');
    utimesSync(file, 1000, 1000.5);
    const { context } = serve('192.0.2.2 a.example');
    expect(context.metrics.gauge('coredns_hosts_entries', { hostsfile: file }).value).toBe(6);
    expect(context.metrics.gauge('coredns_hosts_reload_timestamp_seconds', {}).value).toBe(1000.5);
  });
});
