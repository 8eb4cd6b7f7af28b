import { type Answer, type Question, decode, encode } from 'dns-packet';
import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeMessage } from './codec.ts';
import { CD, RD } from './header.ts';
import { lowerText, nameFromText, nameToText } from './name.ts';
import { QueryView, READ_QUERY, READ_SILENCE, readQuery } from './question.ts';
import { normalize } from './response.ts';
import { typeFromName, typeName } from './rrtype.ts';

const label = fc.stringMatching(/^[a-zA-Z0-9_-]{1,20}$/);
const qname = fc.array(label, { maxLength: 8 }).map((labels) => labels.join('.') || '.');
const query = fc.record({
  id: fc.nat(0xffff),
  flags: fc.constantFrom(0, RD << 8, (RD << 8) | CD, CD),
  name: qname,
  type: fc.constantFrom<Question['type']>('A', 'AAAA', 'MX', 'TXT', 'SRV', 'PTR', 'SOA', 'DNSKEY'),
  class: fc.constantFrom<NonNullable<Question['class']>>('IN', 'CH', 'HS', 'ANY'),
  edns: fc.option(fc.record({ size: fc.nat(0xffff), dnssecOk: fc.boolean() })),
});

const opt = (udpPayloadSize: number, dnssecOk: boolean): Answer => ({
  type: 'OPT',
  name: '.',
  udpPayloadSize,
  extendedRcode: 0,
  ednsVersion: 0,
  flags: dnssecOk ? 0x8000 : 0,
  flag_do: dnssecOk,
  options: [],
});

const CLASSES: Record<string, number> = { IN: 1, CH: 3, HS: 4, ANY: 255 };

describe('reading in place and dns-packet agree on any well-formed query', () => {
  test('both agree on the header, the question and the OPT', () => {
    fc.assert(
      fc.property(query, (asked) => {
        const msg = encode({
          type: 'query',
          id: asked.id,
          flags: asked.flags,
          questions: [{ name: asked.name, type: asked.type, class: asked.class }],
          additionals: asked.edns === null ? [] : [opt(asked.edns.size, asked.edns.dnssecOk)],
        });
        const view = new QueryView(1);
        expect(readQuery(view, msg, 0, msg.length)).toBe(READ_QUERY);
        const packet = decode(Buffer.from(msg));
        const question = packet.questions![0]!;
        expect(typeName(view.qtype)).toBe(question.type);
        expect(view.qclass).toBe(CLASSES[question.class!]);
        const lowered = nameToText(view.lowered);
        expect(lowered).toBe(lowerText(question.name === '.' ? '.' : `${question.name}.`));
        expect(view.nameOctets).toBe(nameFromText(question.name)!.length);
        expect(view.hasEdns).toBe(packet.additionals!.length === 1);
        const found = packet.additionals![0];
        if (found?.type === 'OPT') {
          expect(view.dnssecOk).toBe(found.flag_do);
          expect(view.payloadOctets).toBe(Math.max(512, found.udpPayloadSize));
        }

        const decoded = decodeMessage(msg)!;
        expect(decoded.id).toBe(packet.id);
        expect(decoded.isResponse).toBe(packet.flag_qr);
        expect(decoded.flags & 0x7fff).toBe(packet.flags);
        expect(decoded.questions).toEqual([
          {
            name: question.name === '.' ? '.' : `${question.name}.`,
            qtype: typeFromName(question.type),
            qclass: view.qclass,
          },
        ]);
      }),
    );
  });
});

describe('octets that are no message', () => {
  test('no octets make the codec throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
        expect(() => decodeMessage(octets)).not.toThrow();
      }),
      { numRuns: 2000 },
    );
  });

  test('a message that was cut is never read as more than normalize reads', () => {
    const whole = encode({
      type: 'response',
      id: 1,
      questions: [{ name: 'a.example', type: 'MX' }],
      answers: [
        { name: 'a.example', type: 'MX', data: { preference: 1, exchange: 'b.example' } },
        { name: 'b.example', type: 'A', data: '192.0.2.1' },
      ],
    });
    for (let octets = 0; octets < whole.length; octets++) {
      expect(decodeMessage(whole.subarray(0, octets))).toBeUndefined();
      expect(normalize(whole, 0, octets)).toBeUndefined();
    }
    expect(decodeMessage(whole)?.answers.length).toBe(2);
    expect(readQuery(new QueryView(1), whole, 0, whole.length)).toBe(READ_SILENCE);
  });
});
