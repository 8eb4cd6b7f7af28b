import { describe, expect, test } from 'vitest';
import type { ResourceRecord } from '../../dns/codec.ts';
import { NOERROR, NOTIMP, NXDOMAIN, REFUSED, SERVFAIL } from '../../dns/rcode.ts';
import { A, IN, NS, SOA } from '../../dns/rrtype.ts';
import { Metadata } from '../../query/metadata.ts';
import type { Query } from '../../query/query.ts';
import { Response } from '../../query/response.ts';
import { type Synthesis, synthesize } from '../../query/synthesize.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { nowMs } from '../../sys/clock.ts';
import { parseAs, refusal, testBuilding, testParsing } from '../testing.ts';
import { secondsText } from './format.ts';
import { log } from './index.ts';

const record = (type: number, rdata: ResourceRecord['rdata']): ResourceRecord => ({
  name: 'a.test.',
  type,
  rrClass: IN,
  ttlSec: 60,
  rdata,
});
const address = record(A, { kind: 'address', address: '192.0.2.1' });
const ns = record(NS, { kind: 'name', target: 'ns.test.' });
const soa = record(SOA, {
  kind: 'soa',
  mname: '.',
  rname: '.',
  serial: 1,
  refresh: 1,
  retry: 1,
  expire: 1,
  minimum: 1,
});

interface Exchange extends AskOptions {
  readonly name?: string;
  readonly type?: string;
  readonly response?: (query: Query) => Response;
}

const answered =
  (synthesis: Synthesis) =>
  (query: Query): Response =>
    synthesize(query, 'hosts', synthesis);

/** The lines that a block with these `log` lines prints for one exchange. */
function lines(uses: readonly string[], exchange: Exchange = {}): string[] {
  const context = testBuilding();
  const configs = uses.map((use) => parseAs(log, use));
  const handler = log.build!(configs, context)!;
  const { query } = askQuery(exchange.name ?? 'a.test.', exchange.type ?? 'A', exchange);
  const response = (exchange.response ?? answered({ answers: [address] }))(query);
  expect(handler.onResponse!(query, response)).toBe(response);
  return context.log.lines;
}

describe('the line', () => {
  test('the line of log is that of CoreDNS', () => {
    const [line] = lines(['log'], { id: 34847, receivedMs: nowMs() - 1 });
    expect(line).toMatch(
      /^\[INFO\] 127\.0\.0\.1:43008 - 34847 "A IN a\.test\. udp 24 false 512" NOERROR qr,aa,rd 46 0\.\d{1,9}s$/,
    );
  });

  test.each<{ format: string; exchange?: Exchange; shows: string }>([
    {
      format: '{type} {class}',
      exchange: { type: 'TYPE65280', qclass: 'CLASS5' },
      shows: 'TYPE65280 CLASS5',
    },
    { format: '{name}', exchange: { name: 'A.TesT.' }, shows: 'a.test.' },
    { format: '{name}', exchange: { name: '.' }, shows: '.' },
    {
      format: '{proto} {>bufsize}',
      exchange: { transport: 'tcp', edns: 1232 },
      shows: 'tcp 65535',
    },
    { format: '{proto} {>bufsize}', exchange: { edns: 100 }, shows: 'udp 512' },
    {
      format: '{>bufsize} {>do} {size}',
      exchange: { edns: 1232, dnssecOk: true },
      shows: '1232 true 35',
    },
    {
      format: '{remote}:{port}',
      exchange: { remoteAddress: '2001:db8::1' },
      shows: '[2001:db8::1]:43008',
    },
    { format: '{local}', exchange: { localAddress: '::1' }, shows: '[::1]' },
    { format: '{local}', exchange: { localAddress: '0.0.0.0' }, shows: '[::]' },
    { format: '{local}', exchange: { localAddress: '::' }, shows: '[::]' },
    { format: '{>opcode}', exchange: { opcode: 4 }, shows: '4' },
    {
      format: '{rcode} {>rflags} {rsize}',
      exchange: { checkingDisabled: true, response: answered({ rcode: NXDOMAIN }) },
      shows: 'NXDOMAIN qr,aa,rd,cd 24',
    },
    {
      format: '{rcode} {>rflags} {rsize}',
      exchange: { response: (query) => Response.failed(query, SERVFAIL, 'x') },
      shows: '- - 0',
    },
    { format: '{/forward/upstream}', shows: '-' },
    { format: '{unknown} {} }{ {', shows: '{unknown} {} }{ {' },
    { format: '{ {name} }', shows: '{ a.test. }' },
  ])('$format shows $shows', ({ format, exchange, shows }) => {
    expect(lines([`log . "${format}"`], exchange)).toEqual([`[INFO] ${shows}`]);
  });

  test.each<{ format: string; exchange?: Exchange; shows: string }>([
    { format: '{/a/b} {/a/c} {/}', shows: 'B - -' },
    { format: '{/log/type} {/log/class}', shows: 'NOERROR success' },
    {
      format: '{/log/type} {/log/class}',
      exchange: { response: answered({ rcode: NXDOMAIN, authorities: [soa] }) },
      shows: 'NXDOMAIN denial',
    },
    {
      format: '{/log/type} {/log/class}',
      exchange: { response: (query) => Response.failed(query, SERVFAIL, 'x') },
      shows: 'SERVERERROR error',
    },
  ])('of metadata, $format shows $shows', ({ format, exchange, shows }) => {
    const metadata = new Metadata();
    metadata.set('a/b', 'B');
    const response = exchange?.response ?? answered({ answers: [address] });
    const withMetadata: Exchange = {
      response: (query) => {
        query.metadata = metadata;
        return response(query);
      },
    };
    expect(lines([`log . "${format}"`], withMetadata)).toEqual([`[INFO] ${shows}`]);
  });

  test('{common} and {combined} inside a format are replaced', () => {
    const [line] = lines(['log . "x {combined} y"']);
    expect(line).toMatch(/^\[INFO\] x 127\.0\.0\.1:43008 - 4711 "A .* 0\.\d+s "0" y$/);
  });

  test.each([
    [0.102752, '0.000102752'],
    [1000.70195, '1.00070195'],
    [0, '0'],
    [0.0001, '0.0000001'],
    [5000, '5'],
    [10_000, '10'],
    [-1, '0'],
  ])('%d ms are %s s, in plain decimals', (ms, text) => {
    expect(secondsText(ms)).toBe(text);
  });
});

describe('rules', () => {
  test.each([
    { uses: ['log'], name: 'a.test.', logged: true },
    { uses: ['log test'], name: 'a.test.', logged: true },
    { uses: ['log TEST.'], name: 'A.Test.', logged: true },
    { uses: ['log b.test other'], name: 'a.test.', logged: false },
    { uses: ['log . combined'], name: 'a.test.', logged: true },
    { uses: ['log {combined}'], name: 'a.test.', logged: false },
    { uses: ['log a..b'], name: 'a.test.', logged: false },
    { uses: ['log b.test', 'log test'], name: 'a.test.', logged: true },
    { uses: ['log a.test {\nclass error\n}', 'log'], name: 'a.test.', logged: false },
  ])('$uses with $name: $logged', ({ uses, name, logged }) => {
    expect(lines(uses, { name }).length).toBe(logged ? 1 : 0);
  });

  test('the format of a log rule belongs to that rule alone', () => {
    const uses = ['log b.test "b"', 'log . "{name}"', 'log . "c {name}"'];
    expect(lines(uses)).toEqual(['[INFO] a.test.']);
  });

  test('queries of our own are not logged', () => {
    expect(lines(['log'], { ours: true })).toEqual([]);
  });

  const signed: Record<string, Exchange> = {
    positive: {},
    'no data': { response: answered({ authorities: [soa] }) },
    'empty without SOA': { response: answered({}) },
    delegation: { response: answered({ authorities: [ns] }) },
    NXDOMAIN: { response: answered({ rcode: NXDOMAIN, authorities: [soa] }) },
    'NXDOMAIN without SOA': { response: answered({ rcode: NXDOMAIN }) },
    SERVFAIL: { response: answered({ rcode: SERVFAIL }) },
    NOTIMP: { response: answered({ rcode: NOTIMP }) },
    REFUSED: { response: answered({ rcode: REFUSED }) },
    'bare NOERROR': { response: (query) => Response.failed(query, NOERROR, '') },
    'a zone transfer': { type: 'AXFR' },
  };
  test.each([
    ['positive', 'success'],
    ['no data', 'denial'],
    ['empty without SOA', 'success'],
    ['delegation', 'success'],
    ['NXDOMAIN', 'denial'],
    ['NXDOMAIN without SOA', 'error'],
    ['SERVFAIL', 'error'],
    ['NOTIMP', 'error'],
    ['REFUSED', 'error'],
    ['bare NOERROR', 'error'],
    ['a zone transfer', 'error'],
  ])('%s is of class %s', (what, expected) => {
    const of = ['success', 'denial', 'error'].filter(
      (name) => lines([`log . {\nclass ${name}\n}`], signed[what]).length === 1,
    );
    expect(of).toEqual([expected]);
    expect(lines(['log . {\nclass success denial\nclass error\n}'], signed[what]).length).toBe(1);
    expect(lines(['log . {\nclass all\n}'], signed[what]).length).toBe(1);
  });
});

describe('what is refused or doubted', () => {
  test.each([
    ['log {\nclass\n}', 'Corefile:2:1: log: class: Wrong argument count'],
    ['log {\nclass foo\n}', 'Corefile:2:7: log: class: invalid Class: foo; expected all, success'],
    ['log {\nfoo\n}', 'Corefile:2:1: log: "foo" is not an option (unknown property \'foo\')'],
  ])('%j: %s', (use, message) => {
    expect(refusal(log, use)).toContain(message);
  });

  test('a lone format is taken as a name, with a warning', () => {
    const context = testParsing();
    parseAs(log, 'log {combined}', context);
    expect(context.warnings[0]).toContain('Corefile:1: a single argument is a name');
  });
});
