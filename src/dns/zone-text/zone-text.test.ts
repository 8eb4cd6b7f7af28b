import { describe, expect, test } from 'vitest';
import { encodeRecord } from '../codec.ts';
import { recordFromText } from './zone-text.ts';
import { ZoneTextError } from './words.ts';

function hexOf(text: string): string {
  return Buffer.from(encodeRecord(recordFromText(text))!).toString('hex');
}

function fault(text: string): string {
  try {
    recordFromText(text);
    return 'no fault';
  } catch (error) {
    expect(error).toBeInstanceOf(ZoneTextError);
    return (error as Error).message;
  }
}

// RDATA of each type is held against a zone that knotd serves: test/parity/zone-text.test.ts.
describe('a record in text (RFC 1035 section 5.1)', () => {
  test.each([
    { text: 'a.test. 60 IN A 192.0.2.1', because: 'that is its plain form' },
    { text: 'a.test 60 IN A 192.0.2.1', because: 'names without final dot are absolute' },
    { text: 'a.test. IN 60 A 192.0.2.1', because: 'TTL and class stand in either order' },
    { text: 'a.test. 60 A 192.0.2.1', because: 'the class may be left out' },
    { text: 'a.test. 1m in a 192.0.2.1', because: 'case does not count, and a TTL has units' },
    { text: '\n\na.test.\t60\tA\t192.0.2.1\n', because: 'lines may be empty, tabs are blanks' },
    { text: 'a.test. 60 A ( 192.0.2.1 ) ; x', because: 'there are parentheses and comments' },
    { text: 'a.test. (60\nIN ; x\n A\n) 192.0.2.1', because: 'parentheses span lines' },
    { text: '; x\na.test. 60 A 192.0.2.1\nrubbish', because: 'the first record is the one' },
    { text: 'a.test. 60 CLASS1 TYPE1 \\# 4 c0000201', because: 'RFC 3597 says so' },
  ])('the text $text is read: $because', ({ text }) => {
    expect(hexOf(text)).toBe('0161047465737400000100010000003c0004c0000201');
  });

  test.each([
    ['a. A 192.0.2.1', 3600],
    ['a. 0 A 192.0.2.1', 0],
    ['a. 1w2d3h4m5s A 192.0.2.1', 788_645],
    ['a. 1H30 A 192.0.2.1', 3630],
    ['a. 4294967295 A 192.0.2.1', 4_294_967_295],
  ])('a TTL of %s means %d s', (text, ttlSec) => {
    expect(recordFromText(text).ttlSec).toBe(ttlSec);
  });

  test('names keep their case and escapes, and other characters than ASCII become octets', () => {
    expect(recordFromText('A\\.b\\032c.é.X. CNAME @')).toMatchObject({
      name: 'A\\.b\\032c.\\195\\169.X.',
      rdata: { kind: 'name', target: '.' },
    });
    expect(hexOf('. TXT é')).toBe('000010000100000e10000302c3a9');
  });

  test('a record has the kind that codec.ts has for its type', () => {
    const kinds = ['A 192.0.2.1', 'AAAA ::1', 'NS x', 'MX 1 x', 'SRV 1 2 3 x', 'TXT x'].map(
      (rdata) => recordFromText(`a. ${rdata}`).rdata.kind,
    );
    expect(kinds).toEqual(['address', 'address', 'name', 'mx', 'srv', 'texts']);
    expect(recordFromText('a. SOA b c (1 1h 2 3d 4)').rdata).toEqual({
      kind: 'soa',
      mname: 'b.',
      rname: 'c.',
      serial: 1,
      refresh: 3600,
      retry: 2,
      expire: 259_200,
      minimum: 4,
    });
  });
});

describe('a text that is no record is refused with its place', () => {
  test.each([
    ['', 'no record in the text: "" at line: 1:0'],
    [' \n ; x', 'no record in the text: "" at line: 1:0'],
    ['test.example.', 'not a TTL: "test.example." at line: 1:13'],
    ['a. foo', 'not a TTL: "foo" at line: 1:6'],
    ['a. foo A 1.2.3.4', 'not a TTL: "foo" at line: 1:7'],
    ['\na. foo A 1.2.3.4', 'not a TTL: "foo" at line: 2:7'],
    ['a. 4294967296 A 1.2.3.4', 'not a TTL: "4294967296" at line: 1:14'],
    ['a. 60 60 A 1.2.3.4', 'expecting RR type or class, not this...: "60" at line: 1:9'],
    ['a. 60 IN FOO 1.2.3.4', 'unknown RR type: "FOO" at line: 1:13'],
    ['a. 60 IN', 'no RR type: "" at line: 1:8'],
    ['a. 60 IN OPT x', 'no type of records: "OPT" at line: 1:13'],
    ['a. IN ANY x', 'no type of records: "ANY" at line: 1:10'],
    ['a. 60 TYPE65535 x', 'TYPE65535 can only be written as \\# LENGTH HEX here: "" at line: 1:17'],
    [' 60 IN A 1.2.3.4', 'no owner name before the blank: " " at line: 1:1'],
    ['a..b 60 A 1.2.3.4', 'bad owner name: "a..b" at line: 1:5'],
    [`${'a'.repeat(64)} A 1.2.3.4`, `bad owner name: "${'a'.repeat(64)}" at line: 1:65`],
    ['"a" A 1.2.3.4', 'bad owner name: "a" at line: 1:4'],
    ['a. 60 A', 'bad A A: "" at line: 1:7'],
    ['a. 60 A 1.2.3', 'bad A A: "1.2.3" at line: 1:13'],
    ['a. 60 A 1.2.3.04', 'bad A A: "1.2.3.04" at line: 1:16'],
    ['a. 60 A <no value>.2.3.4', 'bad A A: "<no" at line: 1:12'],
    ['a. 60 A 1.2.3.4 5', 'garbage after rdata: "5" at line: 1:17'],
    ['a. 60 AAAA 1.2.3.4', 'bad AAAA AAAA: "1.2.3.4" at line: 1:18'],
    ['a. 60 AAAA fe80::1%lo', 'bad AAAA AAAA: "fe80::1%lo" at line: 1:21'],
    ['a. 60 CNAME b..', 'bad CNAME Target: "b.." at line: 1:15'],
    ['a. 60 MX x b', 'bad MX Pref: "x" at line: 1:11'],
    ['a. 60 MX 65536 b', 'bad MX Pref: "65536" at line: 1:15'],
    ['a. 60 MX 1', 'bad MX Mx: "" at line: 1:10'],
    ['a. 60 SRV 1 2 70000 b', 'bad SRV Port: "70000" at line: 1:20'],
    ['a. 60 SOA b c 1h 1 1 1 1', 'bad SOA zone parameter: "1h" at line: 1:17'],
    ['a. 60 SOA b c 1 1 1 1', 'bad SOA zone parameter: "" at line: 1:21'],
    ['a. 60 TXT', 'bad TXT Txt: "" at line: 1:9'],
    [`a. 60 TXT ${'x'.repeat(256)}`, `bad TXT Txt: "${'x'.repeat(256)}" at line: 1:266`],
    ['a. 60 TXT \\256', 'bad TXT Txt: "\\\\256" at line: 1:14'],
    ['a. 60 TXT "x', 'unbalanced quote: "x" at line: 1:12'],
    ['a. 60 TXT "x\ny"', 'unbalanced quote: "x" at line: 1:12'],
    ['a. 60 TXT x\\', 'bad escape: "x" at line: 1:12'],
    ['a. 60 TXT ( x', 'unbalanced brace: "" at line: 1:14'],
    ['a. 60 TXT x )', 'extra closing brace: ")" at line: 1:13'],
    ['a. 60 DS 1 8 2 xyz', 'bad DS Digest: "xyz" at line: 1:18'],
    ['a. 60 DS 1 8 2 abc', 'bad DS Digest: "abc" at line: 1:18'],
    ['a. 60 DS 1 NO 2 ab', 'bad DS Algorithm: "NO" at line: 1:14'],
    ['a. 60 DNSKEY 1 3 8 ab=', 'bad DNSKEY PublicKey: "ab=" at line: 1:22'],
    ['a. 60 HTTPS 1 . alpn=', 'bad SVCB parameter: "alpn=" at line: 1:21'],
    ['a. 60 HTTPS 1 . port=x', 'bad SVCB parameter: "port=x" at line: 1:22'],
    ['a. 60 HTTPS 1 . foo=x', 'bad SVCB parameter: "foo=x" at line: 1:21'],
    ['a. 60 HTTPS 1 . ipv4hint=::1', 'bad SVCB parameter: "ipv4hint=::1" at line: 1:28'],
    [
      'a. 60 HTTPS 1 . mandatory=mandatory',
      'bad SVCB parameter: "mandatory=mandatory" at line: 1:35',
    ],
    ['a. 60 HTTPS 1 . port=1 port=2', 'repeated SVCB parameter: "port=2" at line: 1:29'],
    ['a. 60 LOC 91 N 0 E 0m', 'bad LOC Latitude: "N" at line: 1:15'],
    ['a. 60 LOC 1 N 0 E 1km', 'bad LOC Altitude: "1km" at line: 1:21'],
    ['a. 60 TYPE1 \\# 5 00000000', 'bad A length: "5" at line: 1:17'],
    ['a. 60 TYPE1 \\#', 'bad A length: "" at line: 1:14'],
  ])('the text %j is refused: %s', (text, message) => {
    expect(fault(text)).toBe(`dns: ${message}`);
  });
});
