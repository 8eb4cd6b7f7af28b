import { type Answer, decode, encode } from 'dns-packet';
import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { encodeRecord } from '../codec.ts';
import { recordFromText } from './zone-text.ts';
import { ZoneTextError } from './words.ts';

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
const name = fc.array(label, { minLength: 1, maxLength: 5 }).map((labels) => labels.join('.'));
const u16 = fc.nat(0xffff);
const octets = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes));

/** A string as a zone file may write it: quoted, and every odd octet as `\DDD`. */
function quoted(bytes: Buffer): string {
  const escape = (octet: number): string =>
    octet < 0x20 || octet > 0x7e || octet === 0x22 || octet === 0x5c
      ? `\\${String(octet).padStart(3, '0')}`
      : String.fromCharCode(octet);
  return `"${[...bytes].map(escape).join('')}"`;
}

/** RDATA as dns-packet has it, and as text. */
const rdata = fc.oneof(
  fc.ipV4().map((address) => ({ type: 'A', data: address, text: address })),
  fc
    .array(u16, { minLength: 8, maxLength: 8 })
    .map((parts) => parts.map((part) => part.toString(16)).join(':'))
    .map((address) => ({ type: 'AAAA', data: address, text: address })),
  fc
    .tuple(fc.constantFrom('CNAME', 'NS', 'PTR', 'DNAME'), name)
    .map(([type, target]) => ({ type, data: target, text: target })),
  fc.tuple(u16, name).map(([preference, exchange]) => ({
    type: 'MX',
    data: { preference, exchange },
    text: `${preference} ${exchange}.`,
  })),
  fc.tuple(u16, u16, u16, name).map(([priority, weight, port, target]) => ({
    type: 'SRV',
    data: { priority, weight, port, target },
    text: `${priority} ${weight} ${port} ${target}`,
  })),
  fc.array(octets, { minLength: 1, maxLength: 4 }).map((texts) => ({
    type: 'TXT',
    data: texts,
    text: texts.map(quoted).join(' '),
  })),
  fc
    .tuple(fc.constantFrom(0, 128), fc.constantFrom('issue', 'iodef'), fc.string())
    .map(([flags, tag, value]) => ({
      type: 'CAA',
      data: { flags, tag, value, issuerCritical: flags === 128 },
      text: `${flags} ${tag} ${quoted(Buffer.from(value))}`,
    })),
  fc.tuple(u16, fc.constantFrom(8, 13), octets).map(([keyTag, algorithm, digest]) => ({
    type: 'DS',
    data: { keyTag, algorithm, digestType: 2, digest },
    text: `${keyTag} ${algorithm} 2 ${digest.toString('hex')}`,
  })),
);

test('a record in text is what dns-packet makes of the same record as data', () => {
  fc.assert(
    fc.property(name, fc.nat(0xffff_ffff), rdata, (owner, ttl, { type, data, text }) => {
      const answer = { name: owner, ttl, type, data, class: 'IN' } as Answer;
      const theirs = encode({ answers: [answer] }).subarray(12);
      const ours = encodeRecord(recordFromText(`${owner} ${ttl} IN ${type} ${text}`))!;
      expect(Buffer.from(ours).toString('hex')).toBe(theirs.toString('hex'));
      expect(decode(encode({ answers: [answer] })).answers).toHaveLength(1);
    }),
  );
});

const piece = fc.constantFrom(
  ...'a. b.example @ 60 1h IN CH ANY A AAAA CNAME MX SOA TXT HTTPS NAPTR CAA DS LOC TYPE7 CLASS3 \\# 4 00ff 192.0.2.1 ::1 ( ) " ; \\ \\000 \\300 \n alpn=h2 N E 1m é'.split(
    ' ',
  ),
);

test('any text is either a record that can be encoded or refused', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.array(piece, { maxLength: 20 }).map((pieces) => pieces.join(' ')),
    fc.array(piece, { maxLength: 12 }).map((pieces) => `a. 60 IN ${pieces.join(' ')}`),
  );
  fc.assert(
    fc.property(texts, (text) => {
      try {
        expect(encodeRecord(recordFromText(text))).toBeDefined();
      } catch (error) {
        if (!(error instanceof ZoneTextError)) throw error;
        expect(error.message).toMatch(/^dns: .* at line: \d+:\d+$/);
      }
    }),
    { numRuns: 500 },
  );
});
