/** Records that we read from text, beside the same text in a zone that knotd serves. */
import { expect, test } from 'vitest';
import { encodeRecord } from '../../src/dns/codec.ts';
import { normalize } from '../../src/dns/response.ts';
import { recordFromText } from '../../src/dns/zone-text/zone-text.ts';
import { DatagramClient } from '../harness/client.ts';
import { Knotd } from '../harness/knotd.ts';
import { useLab } from '../harness/lab.ts';
import { DNS_PORT } from '../harness/pair.ts';
import { query, responseTo } from '../harness/message.ts';

/** TTL, class, type and RDATA; each gets an owner of its own. Names are absolute: here all are. */
const RECORDS: readonly string[] = [
  '60 IN A 192.0.2.1',
  'IN 60 A 192.0.2.1',
  '1h30m A 192.0.2.1',
  '2W1d a 192.0.2.255 ; a comment',
  '60 AAAA 2001:db8::1',
  '60 AAAA ::ffff:192.0.2.1',
  '60 AAAA 2001:DB8:0:0:8:800:200C:417A',
  '60 CNAME a\\.b.other.',
  '60 CNAME a\\032b.other.',
  '60 DNAME other.',
  '60 PTR *.other.',
  '60 MX 10 mx.other.',
  '60 MX 0 .',
  '60 SRV 0 5 5060 sip.other.',
  '60 TXT "v=spf1 -all"',
  '60 TXT one "two three" four',
  '60 TXT "a;b" "q\\"uote" "\\\\" "\\009tab" ""',
  '60 TXT ( "a"\n  "b" ) ; both',
  `60 TXT "${'x'.repeat(255)}"`,
  '60 TXT semi\\;colon',
  '60 SPF "v=spf1"',
  '60 CAA 0 issue "ca.example.net; account=1"',
  '60 CAA 128 iodef mailto:a@other',
  '60 NAPTR 100 10 "u" "E2U+sip" "!^.*$!sip:info@example.com!" .',
  '60 NAPTR 100 10 "" "" "" target.other.',
  '60 HINFO "INTEL 386" Linux',
  '60 RP mbox.other. txt.other.',
  '60 AFSDB 1 host.other.',
  '60 KX 10 kx.other.',
  '60 URI 10 1 "ftp://ftp.example.com/public"',
  '60 DS 60485 5 1 ( 2BB183AF5F22588179A53B0A\n 98631FAD1A292118 )',
  '60 SSHFP 2 1 123456789abcdef67890123456789abcdef67890',
  '60 TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971',
  '60 SMIMEA 3 0 0 d2ab',
  '60 DNSKEY 256 3 5 AQPSKmynfzW4kyBv015MUG2DeIQ3 Cbl+BBZH4b/0PY1kxkmvHjcZc8nokfzj31GajIQKY+5CptLr3buXA10h WqTkF7H6RfoRqXQeogmMHfpftf6zMv1LyBUgia7za6ZEzOJBOztyvhjL 742iU/TpPSEDhm2SNKLijfUppn1UaNvv4w==',
  '60 CDS 60485 5 1 2BB183AF5F22588179A53B0A98631FAD1A292118',
  '60 OPENPGPKEY AQPSKmynfzW4',
  '60 DHCID AAIBY2/AuCccgoJbsaxcQc9TUapptP69lOjxfNuVAA2kjEA=',
  '60 LOC 42 21 54 N 71 06 18 W -24m 30m',
  '60 LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m',
  '60 LOC 0 S 0 E 0m',
  '60 SVCB 0 foo.other.',
  '60 SVCB 1 .',
  '60 SVCB 16 foo.other. port=53',
  '60 HTTPS 1 foo.other. key667="hello\\210qoo"',
  '60 HTTPS 16 foo.other. alpn=h2,h3-19 mandatory=ipv4hint,alpn ipv4hint=192.0.2.1,192.0.2.2',
  '60 HTTPS 1 . alpn="h2,h3" no-default-alpn ipv6hint=2001:db8::1,2001:db8::53:1 ech=AEn+DQBFKwAgACABWIHUGj4u+PIggYXcR5JF0gYk3dCRioBW8uJq9H4mKAAIAAEAAQABAANAEnB1YmxpYy50bHMtZWNoLmRldgAA',
  '60 HTTPS 1 . alpn="f\\\\\\\\oo\\\\,bar,h2"',
  '60 TYPE65280 \\# 4 0A000001',
  '60 TYPE1 \\# 4 0A 00 00 01',
  '60 A \\# 4 0a000002',
  '60 TYPE731 \\# 0',
];

const lab = useLab();
const knotd = await Knotd.start(
  lab,
  { host: lab.address(1), port: DNS_PORT },
  {
    test: [
      '@ 60 SOA ns.other. a.other. 1 1 1 1 1',
      '@ 60 NS ns.other.',
      ...RECORDS.map((record, i) => `r${i} ${record}`),
    ].join('\n'),
  },
);

const client = await DatagramClient.open(lab, knotd.endpoint);

test.each(RECORDS.map((record, i) => ({ record, owner: `r${i}.test` })))(
  '$record',
  async ({ record, owner }) => {
    const ours = recordFromText(`${owner} ${record}`);
    const asked = query(owner, ours.type);
    client.send(asked);
    const theirs = await client.nextOctets();
    const answer = responseTo(asked, { answers: [Buffer.from(encodeRecord(ours)!)] });
    expect(recordsOf(answer)).toBe(recordsOf(theirs!));
  },
);

/** Question and records in normal form, names compressed alike. */
function recordsOf(message: Buffer): string {
  const { wire, answers } = normalize(message, 0, message.length)!;
  expect(answers).toBe(1);
  return Buffer.from(wire.subarray(12)).toString('hex');
}
