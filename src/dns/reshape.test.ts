import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { askQuery } from '../query/testing.ts';
import { decodeMessage } from './codec.ts';
import { AD, TC } from './header.ts';
import { lowerText, nameFromText } from './name.ts';
import { NXDOMAIN } from './rcode.ts';
import {
  type Embed,
  type RecordChange,
  type Rename,
  cnamesOf,
  redirect,
  reshape,
  translate,
  withoutMappedAddresses,
} from './reshape.ts';
import { type NormalizedResponse, normalize } from './response.ts';
import { type ResponseText, recordsToText, response } from './testing.ts';

const same: Rename = (name) => name;
const UNCHANGED: RecordChange = { owner: same, target: same, ttl: (ttlSec) => ttlSec };
/** Below b. it is below a. instead. */
const back: Rename = (name) =>
  lowerText(name).endsWith('b.') ? `${name.slice(0, name.length - 2)}a.` : name;

function reshaped(text: ResponseText, change: Partial<RecordChange> = {}): NormalizedResponse {
  const { query } = askQuery('Q.a.', 'A');
  const message = response({ question: 'q.b. A', ...text });
  const before = message.wire.slice();
  const result = reshape(message, query, message.rcode, { ...UNCHANGED, ...change });
  expect(Buffer.compare(message.wire, before)).toBe(0); // others may share it
  return result;
}

/** In normal form means: what normalize would make of it. */
function expectNormal(message: NormalizedResponse): void {
  const again = normalize(message.wire, 0, message.wire.length)!;
  const { rcode, dnssecOk, options } = message;
  expect({ ...again, rcode, dnssecOk, options }).toEqual(message);
}

const hexName = (name: string): string => Buffer.from(nameFromText(name)!).toString('hex');

describe('a reshaped response', () => {
  test('a reshaped response answers the other question, spelled as asked, in normal form', () => {
    const result = reshaped({
      answers: ['q.b. 5 A 192.0.2.1'],
      additionals: ['x.b. 5 A 192.0.2.2'],
    });
    const decoded = decodeMessage(result.wire)!;
    expect(decoded.questions).toEqual([{ name: 'Q.a.', qtype: 1, qclass: 1 }]);
    expect(recordsToText(result.wire)).toEqual(['q.b. 5 A 192.0.2.1', 'x.b. 5 A 192.0.2.2']);
    expect(result).toMatchObject({ nameOctets: 5, answers: 1, hasQtype: true });
    expectNormal(result);
  });

  test.each([
    ['x.b. 5 A 192.0.2.1', 'x.a. 5 A 192.0.2.1'],
    ['x.b. 5 CNAME y.b.', 'x.a. 5 CNAME y.a.'],
    ['x.b. 5 NS y.b.', 'x.a. 5 NS y.a.'],
    ['x.b. 5 PTR y.b.', 'x.a. 5 PTR y.a.'],
    ['x.b. 5 DNAME y.b.', 'x.a. 5 DNAME y.a.'],
    ['x.b. 5 MX 7 y.b.', 'x.a. 5 MX 7 y.a.'],
    ['x.b. 5 SRV 1 2 53 y.b.', 'x.a. 5 SRV 1 2 53 y.a.'],
    ['x.b. 5 TXT y.b.', 'x.a. 5 TXT y.b.'],
    ['x.b. 5 TYPE65280 c00c', 'x.a. 5 TYPE65280 c00c'],
    // NAPTR: two integers, three strings, the replacement.
    [
      `x.b. 5 TYPE35 0001000201750361626300${hexName('y.b.')}`,
      `x.a. 5 NAPTR 0001000201750361626300${hexName('y.a.')}`,
    ],
  ])('owners and targets are renamed: %s becomes %s', (before, after) => {
    const renamed = { owner: back, target: back };
    for (const section of ['answers', 'authorities', 'additionals'] as const) {
      const { wire } = reshaped({ [section]: [before] }, renamed);
      expect(recordsToText(wire)).toEqual([after]);
    }
    expect(recordsToText(reshaped({ answers: [before] }).wire)).toEqual([
      before.replace('TYPE35', 'NAPTR'),
    ]);
  });

  test('the MNAME of an SOA is renamed, and its RNAME is not', () => {
    const soa = 'x.b. 5 SOA 60';
    const decode = (message: NormalizedResponse) => decodeMessage(message.wire)!.authorities[0]!;
    const plain = decode(reshaped({ authorities: [soa] }));
    const renamed = decode(reshaped({ authorities: [soa] }, { target: (name) => `m.${name}` }));
    expect(plain.rdata).toMatchObject({ kind: 'soa', minimum: 60 });
    expect(renamed.rdata).toEqual({
      ...plain.rdata,
      mname: `m.${(plain.rdata as { mname: string }).mname}`,
    });
  });

  test.each([3, 4, 7, 8, 9])(
    'has names of type %i where they were, though all else moves',
    (type) => {
      const record = `x.b. 5 TYPE${type} ${hexName('far.y.b.')}`;
      const { wire } = reshaped(
        { question: 'y.b. A', answers: [record] },
        { owner: () => 'much.longer.than.before.' },
      );
      expect(Buffer.from(wire).toString('latin1')).toContain('\u0003far\u0001y\u0001b\u0000');
    },
  );

  test('TTLs are changed, and the lowest is known', () => {
    const records = ['x.b. 5 A 192.0.2.1', 'x.b. 9 A 192.0.2.1'];
    const result = reshaped({ answers: records }, { ttl: (ttlSec) => ttlSec + 100 });
    expect(recordsToText(result.wire)!.map((line) => line.split(' ')[1])).toEqual(['105', '109']);
    expect(result.ttlMinSec).toBe(105);
  });

  test('the RCODE may be changed, and the facts about EDNS are kept', () => {
    const { query } = askQuery('a.', 'A');
    const message = response({ edns: { dnssecOk: true, options: Uint8Array.of(0, 3, 0, 0) } });
    const result = reshape(message, query, NXDOMAIN, UNCHANGED);
    expect(result).toMatchObject({ rcode: NXDOMAIN, dnssecOk: true, options: message.options });
    expect(result.wire[3]! & 15).toBe(NXDOMAIN);
  });

  test('a name whose change would not be a name is kept', () => {
    const { wire } = reshaped({ answers: ['x.b. 5 A 192.0.2.1'] }, { owner: () => 'a..b.' });
    expect(recordsToText(wire)).toEqual(['x.b. 5 A 192.0.2.1']);
  });

  test('a response that becomes too long is cut, with TC', () => {
    const answers = Array.from({ length: 2000 }, (_, i) => `h${i}.b. 5 A 192.0.2.1`);
    const long = `${'y'.repeat(60)}.`;
    const result = reshaped({ answers }, { owner: (name) => `${long}${name}` });
    expect(result.wire.length).toBeLessThanOrEqual(0xffff);
    expect(result.wire.length).toBeGreaterThan(0xffff - 200);
    expect(result.wire[2]! & TC).toBe(TC);
    expect(result.answers).toBeLessThan(2000);
    expectNormal(result);
  });
});

describe('CNAMEs', () => {
  const chain = ['a. 5 CNAME b.', 'x. 5 A 192.0.2.1', 'b. 5 CNAME C.', 'c. 5 A 192.0.2.2'];

  test('CNAMEs are found in the answer section', () => {
    const message = response({ answers: chain, authorities: ['y. 5 CNAME z.'] });
    expect(cnamesOf(message)).toEqual([
      { index: 0, target: 'b.' },
      { index: 2, target: 'C.' },
    ]);
  });

  test('a CNAME leads elsewhere, and the records found there follow', () => {
    const message = response({
      question: 'a. A',
      answers: chain,
      authorities: ['. 5 NS old.'],
      flags: (1 << 8) | AD,
    });
    const found = response({
      question: 'd. A',
      answers: ['d. 6 CNAME e.', 'e. 7 A 192.0.2.3'],
      authorities: ['. 8 NS new.'],
      additionals: ['new. 9 A 192.0.2.4'],
      flags: TC << 8,
      rcode: NXDOMAIN,
    });
    const result = redirect(message, 2, 'd.', found);
    expect(recordsToText(result.wire)).toEqual([
      'a. 5 CNAME b.',
      'b. 5 CNAME d.',
      'd. 6 CNAME e.',
      'e. 7 A 192.0.2.3',
      '. 8 NS new.',
    ]);
    expect(decodeMessage(result.wire)!.questions[0]!.name).toBe('a.');
    expect(result).toMatchObject({ rcode: NXDOMAIN, answers: 4, ttlMinSec: 5 });
    // TC is the lookup's; the data is not what was authenticated.
    expect([result.wire[2]! & TC, result.wire[3]! & AD]).toEqual([TC, 0]);
    expectNormal(result);
  });
});

describe('a translated response (RFC 6147 section 5.4)', () => {
  /** fd00:: and the IPv4 address at the end. */
  const embed: Embed = (wire, from, out, at) => {
    out.fill(0, at, at + 16);
    out[at] = 0xfd;
    out.set(wire.subarray(from, from + 4), at + 12);
  };
  const { query } = askQuery('Q.a.', 'AAAA');

  test('a translation makes AAAA records of the A records of an answer, and keeps the rest', () => {
    const message = response({
      question: 'q.a. A',
      answers: ['q.a. 500 CNAME b.', 'b. 90 A 192.0.2.1', 'b. 20 A 192.0.2.2', 'b. 90 TXT t'],
      authorities: ['b. 90 NS ns.b.'],
      additionals: ['ns.b. 90 A 192.0.2.3'],
    });
    const before = message.wire.slice();
    const result = translate(message, query, embed, 60);
    expect(message.wire).toEqual(before); // others may share it
    expectNormal(result);
    expect(result).toMatchObject({ qtype: 28, hasQtype: true, ttlMinSec: 20, hasNs: true });
    expect(decodeMessage(result.wire)!.questions[0]!.name).toBe('Q.a.');
    expect(recordsToText(result.wire)).toEqual([
      'Q.a. 500 CNAME b.',
      'b. 60 AAAA fd00::c000:201',
      'b. 20 AAAA fd00::c000:202',
      'b. 90 TXT t',
      'b. 90 NS ns.b.',
      'ns.b. 90 A 192.0.2.3',
    ]);
  });

  test('a response that becomes too long is cut, with TC', () => {
    const answers = Array.from({ length: 3000 }, () => 'q.a. 5 A 192.0.2.1');
    const result = translate(response({ question: 'q.a. A', answers }), query, embed, 60);
    expectNormal(result);
    expect(result.wire[2]! & TC).toBe(TC);
    expect(result.answers).toBe(Math.floor((65_535 - 12 - 9) / 28));
  });
});

describe('whatever is renamed', () => {
  const label = fc.constantFrom('a', 'b', 'B', 'svc', 'x'.repeat(62), '\\.', '\\200');
  const name = fc
    .array(label, { maxLength: 4 })
    .map((labels) => labels.map((text) => `${text}.`).join('') || '.');
  const rdata = fc.oneof(
    fc.ipV4().map((address) => `A ${address}`),
    ...['CNAME', 'NS', 'PTR', 'DNAME', 'MX 7', 'SRV 1 2 53'].map((type) =>
      name.map((target) => `${type} ${target}`),
    ),
    name.map((target) => `TYPE9 ${hexName(target)}`),
    name.map((target) => `TYPE35 000100020000 00${hexName(target)}`.replace(' 00', '00')),
    fc.constantFrom('SOA 60', 'TXT text', 'TYPE65280 c00cff'),
  );
  const record = fc.tuple(name, fc.nat(0x7fffffff), rdata).map((parts) => parts.join(' '));
  const section = fc.array(record, { maxLength: 5 });
  const message = fc
    .record({ question: name.map((text) => `${text} A`), answers: section, authorities: section })
    .map((text) => response({ ...text, additionals: text.answers }));
  /** Any text at all, mostly names. */
  const rename: fc.Arbitrary<Rename> = fc.oneof(
    fc.constant(same),
    fc.constant(back),
    fc.string().map((text) => () => text),
    name.map((other) => () => other),
    name.map((suffix) => (text: string) => text + suffix),
    fc.nat(30).map((count) => (text: string) => text.slice(count)),
  );

  test('any renaming leaves a response in normal form, with as many records', () => {
    fc.assert(
      fc.property(
        message,
        rename,
        rename,
        fc.nat(23),
        name,
        (before, owner, target, rcode, asked) => {
          const { query } = askQuery(asked, 'MX');
          const result = reshape(before, query, rcode, { owner, target, ttl: (ttlSec) => ttlSec });
          expectNormal(result);
          expect(result.wire.subarray(6, 12)).toEqual(before.wire.subarray(6, 12));
          expect(result.ttlMinSec).toBe(before.ttlMinSec);
          expect(result.qtype).toBe(15);
        },
      ),
    );
  });

  test('renaming forth and back restores the response', () => {
    const there: Rename = (text) => (text === '.' ? text : `${text.slice(0, -1)}.there.`);
    const home: Rename = (text) => text.replace(/there\.$/, '');
    fc.assert(
      fc.property(message, name, (before, asked) => {
        const { query } = askQuery(asked, 'A');
        const moved = reshape(before, query, 0, { ...UNCHANGED, owner: there, target: there });
        const returned = reshape(moved, query, 0, { ...UNCHANGED, owner: home, target: home });
        // A pointer inside MR is shown as it stands, and may stand otherwise.
        const text = (wire: Uint8Array) =>
          recordsToText(wire)!
            .map(lowerText)
            .filter((line) => !line.includes(' mr '));
        // A name at its limit of length has not moved, and has nothing to return from.
        expect(text(returned.wire)).toEqual(text(before.wire));
      }),
    );
  });
});

describe('IPv4-mapped addresses (RFC 4291 section 2.5.5.2)', () => {
  test('are left out of the answer section, and AD with them', () => {
    const message = response({
      question: 'q.a. AAAA',
      flags: 0x8180 | AD,
      answers: ['q.a. 9 AAAA ::ffff:192.0.2.1', 'q.a. 7 AAAA 2001:db8::1'],
      additionals: ['ns.a. 9 AAAA ::ffff:192.0.2.1'],
    });
    const before = message.wire.slice();
    const result = withoutMappedAddresses(message);
    expect(message.wire).toEqual(before); // others may share it
    expectNormal(result);
    expect(result).toMatchObject({ qtype: 28, hasQtype: true, ttlMinSec: 7 });
    expect(result.wire[3]! & AD).toBe(0);
    expect(recordsToText(result.wire)).toEqual([
      'q.a. 7 AAAA 2001:db8::1',
      'ns.a. 9 AAAA 192.0.2.1', // the codec's spelling of ::ffff:192.0.2.1
    ]);
  });

  test('leave a message as it is where there are none of them', () => {
    const message = response({ question: 'q.a. AAAA', answers: ['q.a. 7 AAAA ::fffe:c000:201'] });
    expect(withoutMappedAddresses(message)).toBe(message);
  });
});
