import { describe, expect, test } from 'vitest';
import { parseUse } from '../../corefile/blocks.ts';
import { type ResourceRecord, decodeMessage } from '../../dns/codec.ts';
import { rcodeName } from '../../dns/rcode.ts';
import { className, typeName } from '../../dns/rrtype.ts';
import { Metadata } from '../../query/metadata.ts';
import { type AskOptions, askQuery } from '../../query/testing.ts';
import { ANSWERED, PASS } from '../../query/verdict.ts';
import type { Handler } from '../directive.ts';
import { type TestBuilding, testBuilding, testParsing } from '../testing.ts';
import { template } from './index.ts';

/** The handler that stands for these uses in one block. */
function build(uses: string, context: TestBuilding): Handler {
  const parsing = testParsing(context.zones);
  // Each begins a line, and its options are indented.
  const configs = uses
    .split(/\n(?=template)/)
    .map((use) => template.parse(parseUse(use.trim()), parsing));
  return template.build!(configs, context)!;
}

function shown({ name, ttlSec, rrClass, type, rdata }: ResourceRecord): string {
  const { kind, ...data } = rdata;
  const text =
    kind === 'octets' ? Buffer.from(rdata.octets).toString('hex') : Object.values(data).join(' ');
  return `${name} ${ttlSec} ${className(rrClass)} ${typeName(type)} ${text}`;
}

/** `RCODE`, and the records of each section that has any; `next`, or a bare RCODE with the reason. */
function asked(
  uses: string,
  question: string,
  options: AskOptions = {},
  context: TestBuilding = testBuilding(),
): string {
  const [name, type] = question.split(' ');
  const { query, responses } = askQuery(name!, type!, options);
  if (build(uses, context).onQuery!(query) === PASS) return 'next';
  const [response] = responses;
  if (response!.failure !== undefined) {
    return `bare ${rcodeName(response!.rcode)} ${response!.failure.message}`.trim();
  }
  expect(response!.writer).toBe('template');
  const { answers, authorities, additionals, flags } = decodeMessage(response!.message.wire)!;
  expect(flags & 0x0480).toBe(0x0400); // AA, not RA
  const sections = [answers, authorities, additionals].map((records, i) =>
    records.map((record) => `${['', 'authority ', 'additional '][i]!}${shown(record)}`),
  );
  return [rcodeName(response!.rcode), ...sections.flat()].join(' | ');
}

describe('which query is answered', () => {
  test.each([
    { uses: 'template ANY AAAA', ask: 'a.example. AAAA', is: 'NOERROR' },
    { uses: 'template ANY AAAA', ask: 'a.example. A', is: 'next' },
    { uses: 'template IN AAAA . {\n rcode NOERROR\n}', ask: '. AAAA', is: 'NOERROR' },
    { uses: 'template IN ANY', ask: 'a. TYPE65280', is: 'NOERROR' },
    { uses: 'template IN A', ask: 'a. ANY', is: 'NOERROR' },
    {
      uses: 'template ANY ANY invalid {\n rcode NXDOMAIN\n}',
      ask: 'a.invalid. MX',
      is: 'NXDOMAIN',
    },
    { uses: 'template ANY ANY invalid {\n rcode NXDOMAIN\n}', ask: 'a.valid. MX', is: 'next' },
    { uses: 'template ANY ANY A.B b {\n rcode REFUSED\n}', ask: 'x.B. A', is: 'REFUSED' },
    { uses: 'template IN A {\n match ^x\n}', ask: 'X.example. A', is: 'NOERROR' },
    { uses: 'template IN A {\n match ^x\n}', ask: 'a.example. A', is: 'bare SERVFAIL' },
    { uses: 'template IN A {\n match ^x y\n}', ask: 'ay.example. A', is: 'NOERROR' },
    { uses: 'template IN A {\n match ^x\n fallthrough\n}', ask: 'a.example. A', is: 'next' },
    { uses: 'template IN A {\n match ^x\n fallthrough b\n}', ask: 'a.b. A', is: 'next' },
    { uses: 'template IN A {\n match ^x\n fallthrough b\n}', ask: 'a.c. A', is: 'bare SERVFAIL' },
    {
      uses: 'template IN A {\n rcode SERVFAIL\n answer "x A 1.2.3.4"\n}',
      ask: 'a. A',
      is: 'bare SERVFAIL',
    },
    {
      uses: 'template IN A {\n match ^x\n fallthrough\n}\ntemplate IN A {\n rcode REFUSED\n}',
      ask: 'a. A',
      is: 'REFUSED',
    },
    {
      uses: 'template IN A {\n match ^x\n}\ntemplate IN A {\n rcode REFUSED\n}',
      ask: 'a. A',
      is: 'bare SERVFAIL',
    },
    {
      uses: 'template IN A {\n match ^x\n}\ntemplate IN AAAA {\n rcode REFUSED\n}',
      ask: 'a. AAAA',
      is: 'REFUSED',
    },
    { uses: 'template IN A a\ntemplate IN A b {\n rcode REFUSED\n}', ask: 'b. A', is: 'REFUSED' },
  ])('$uses: $ask gets $is', ({ uses, ask, is }) => {
    expect(asked(uses, ask)).toBe(is);
  });

  test.each(['NXDOMAIN', 'REFUSED', 'FORMERR', 'NOTIMP', 'YXDOMAIN', 'NOTZONE'])(
    '%s is one answer, where CoreDNS sends two for some',
    (rcode) => {
      const { query, responses } = askQuery('a.', 'A');
      const handler = build(`template IN A {\n rcode ${rcode}\n}`, testBuilding());
      expect(handler.onQuery!(query)).toBe(ANSWERED);
      expect(responses.map((response) => rcodeName(response.rcode))).toEqual([rcode]);
    },
  );

  test('the class of a template counts, and ANY is every class', () => {
    const ch = { qclass: 'CH' };
    expect(asked('template IN TXT', 'a. TXT', ch)).toBe('next');
    expect(asked('template CH TXT', 'a. TXT', ch)).toBe('NOERROR');
    expect(asked('template ANY TXT', 'a. TXT', ch)).toBe('NOERROR');
    expect(asked('template CH TXT', 'a. TXT', { qclass: 'ANY' })).toBe('NOERROR');
  });
});

describe('the data of a template', () => {
  const match = 'match ^(?P<host>[a-z]+)-([0-9]+)(x)?[.]';
  test.each([
    ['{{ .Name }}', 'web-7.example.'],
    ['{{ .Zone }}', 'example.'],
    ['{{ .Class }} {{ .Type }}', 'IN TXT'],
    ['{{ .Regex }}', match.slice(6)],
    ['{{ .Match }}', '[web-7. web 7 ]'],
    ['{{ index .Match 0 }} {{ len .Match }}', 'web-7. 4'],
    ['{{ .Group.host }} {{ index .Group "1" }}{{ index .Group "2" }}', 'web web7'],
    ['[{{ index .Group "3" }}{{ index .Group "4" }}] {{ .Group.none }}', '[] <no value>'],
    ['{{ .Question.Name }} {{ .Question.Qtype }} {{ .Question.Qclass }}', 'WEB-7.example. 16 1'],
    ['{{ .Question }}', ';WEB-7.example.\tIN\t TXT'],
    ['{{ .Question.String }}', ';WEB-7.example.\tIN\t TXT'],
    ['{{ .Message.Id }} {{ .Message.Opcode }} {{ .Message.Rcode }}', '4711 0 0'],
    [
      '{{ .Message.RecursionDesired }} {{ .Message.CheckingDisabled }} {{ .Message.Response }}',
      'true false false',
    ],
    ['{{ len .Message.Question }} {{ (index .Message.Question 0).Qtype }}', '1 16'],
    ['{{ range .Message.Question }}{{ .Name }}{{ end }}', 'WEB-7.example.'],
    ['{{ .Remote }}', '192.0.2.53'],
    ['[{{ .Meta "a/none" }}]', '[]'],
    ['{{ parseInt "ff" 16 8 }} {{ printf "%T" (parseInt "1" 10 64) }}', '255 uint64'],
    ['{{ parseInt "0x1F" 0 0 }} {{ parseInt "017" 0 8 }} {{ parseInt "1_0" 0 8 }}', '31 15 10'],
  ])('%s is %s', (text, is) => {
    // Quotes in the text must not end the record's string: a definition keeps them apart.
    const made = `template IN ANY example {\n ${match}\n answer "{{ define \\"t\\" }}${text.replaceAll('"', '\\"')}{{ end }}{{ .Name }} TXT \\"{{ template \\"t\\" . }}\\""\n}`;
    const options = { remoteAddress: '192.0.2.53' };
    const { query, responses } = askQuery('WEB-7.example.', 'TXT', options);
    build(made, testBuilding()).onQuery!(query);
    expect(responses[0]!.failure).toBeUndefined();
    const [answer] = decodeMessage(responses[0]!.message.wire)!.answers;
    const { rdata } = answer!;
    expect(rdata.kind === 'texts' && Buffer.concat(rdata.texts).toString()).toBe(is);
  });

  test('a question for ANY is answered with the type of the template', () => {
    const uses =
      'template CH MX {\n answer "{{ .Name }} {{ .Class }} TXT {{ .Class }}/{{ .Type }}"\n}';
    expect(asked(uses, 'a. ANY', { qclass: 'ANY' })).toContain('TXT');
    expect(asked(uses, 'a. ANY', { qclass: 'ANY' })).toBe(
      `NOERROR | a. 3600 CH TXT ${Buffer.from('CH/MX').join(',')}`,
    );
  });

  test('a template sees labels of metadata where the block has them', () => {
    const { query, responses } = askQuery('a.', 'A');
    query.metadata = new Metadata();
    query.metadata.set('who/address', () => '192.0.2.9');
    build(
      'template IN A {\n answer "{{ .Name }} A {{ .Meta \\"who/address\\" }}"\n}',
      testBuilding(),
    ).onQuery!(query);
    expect(decodeMessage(responses[0]!.message.wire)!.answers.map(shown)).toEqual([
      'a. 3600 IN A 192.0.2.9',
    ]);
  });

  test('.Zone is the longest zone of the template that holds the name', () => {
    const uses = 'template IN A b. a.b. . {\n answer "{{ .Zone }} A 1.2.3.4"\n}';
    expect(asked(uses, 'x.a.b. A')).toBe('NOERROR | a.b. 3600 IN A 1.2.3.4');
  });
});

describe('templates of public Corefiles', () => {
  const ipInName = `template IN A example {
    match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
    answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
    fallthrough
}`;
  const reverse = `template IN PTR in-addr.arpa {
    match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$
    answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{ .Group.d }}.example."
}`;
  const hexadecimal = `template IN A example {
    match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})(?P<d>[a-f0-9]{2})[.]example[.]$"
    answer "{{ .Name }} 60 IN A 10.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}.{{ parseInt .Group.d 16 8 }}"
    fallthrough
}`;
  const searchDomain = `template IN ANY example.com {
    match "example\\.com\\.(dc1\\.example\\.com\\.)$"
    rcode NXDOMAIN
    authority "{{ index .Match 1 }} 60 IN SOA ns.{{ index .Match 1 }} hostmaster.{{ index .Match 1 }} (1 60 60 60 60)"
    fallthrough
}`;
  const wildcard = `template IN A dev.example {
    answer "{{ .Name }} 60 IN A 192.0.2.80"
}`;
  const both = `template IN ANY lb.example {
    answer "{{ .Name }} 60 IN {{ if eq .Type \\"A\\" }}A 192.0.2.1{{ else if eq .Type \\"AAAA\\" }}AAAA 2001:db8::1{{ else }}TXT none{{ end }}"
}`;
  const mx = `template IN MX example {
    match ^ip-10-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
    answer "{{ .Name }} 60 IN MX 10 {{ .Name }}"
    additional "{{ .Name }} 60 IN A 10.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
    authority "example. 60 IN NS ns0.example."
    authority "example. 60 IN NS ns1.example."
}`;

  test.each([
    [ipInName, 'IP-192-0-2-7.example. A', 'NOERROR | IP-192-0-2-7.example. 60 IN A 192.0.2.7'],
    [ipInName, 'x.ip-192-0-2-7.example. A', 'NOERROR | x.ip-192-0-2-7.example. 60 IN A 192.0.2.7'],
    [ipInName, 'other.example. A', 'next'],
    [ipInName, 'ip-999-0-2-7.example. A', 'bare SERVFAIL dns: bad A A: "999.0.2.7" at line: 1:39'],
    [
      reverse,
      '7.2.0.192.in-addr.arpa. PTR',
      'NOERROR | 7.2.0.192.in-addr.arpa. 60 IN PTR ip-192-0-2-7.example.',
    ],
    [hexadecimal, 'ip0a7bff01.example. A', 'NOERROR | ip0a7bff01.example. 60 IN A 10.123.255.1'],
    [
      searchDomain,
      'x.example.com.dc1.example.com. AAAA',
      'NXDOMAIN | authority dc1.example.com. 60 IN SOA ns.dc1.example.com. hostmaster.dc1.example.com. 1 60 60 60 60',
    ],
    [wildcard, 'a.b.dev.example. A', 'NOERROR | a.b.dev.example. 60 IN A 192.0.2.80'],
    [both, 'x.lb.example. A', 'NOERROR | x.lb.example. 60 IN A 192.0.2.1'],
    [both, 'x.lb.example. AAAA', 'NOERROR | x.lb.example. 60 IN AAAA 2001:db8::1'],
    [
      mx,
      'ip-10-1-2-3.example. MX',
      'NOERROR | ip-10-1-2-3.example. 60 IN MX 10 ip-10-1-2-3.example. | ' +
        'authority example. 60 IN NS ns0.example. | authority example. 60 IN NS ns1.example. | ' +
        'additional ip-10-1-2-3.example. 60 IN A 10.1.2.3',
    ],
  ])('%s\n%s', (uses, question, is) => {
    expect(asked(uses, question)).toBe(is);
  });
});

describe('a template that fails', () => {
  const labels = { server: 'dns://:53', zone: '.', view: '', class: 'IN', type: 'A' };

  test.each([
    [
      '{{ .Foo }}',
      `template: answer:1:3: executing "answer" at <.Foo>: can't evaluate field Foo in type *template.templateData`,
    ],
    [
      '{{ .Name }} 60 IN TXT {{ index .Match 2 }}',
      'template: answer:1:25: executing "answer" at <index .Match 2>: error calling index: index out of range: 2',
    ],
    [
      '{{ parseInt .Name 16 8 }}',
      'template: answer:1:3: executing "answer" at <parseInt .Name 16 8>: error calling parseInt: strconv.ParseUint: parsing "a.test.": invalid syntax',
    ],
    [
      '{{ parseInt "100" 16 8 }}',
      'template: answer:1:3: executing "answer" at <parseInt "100" 16 8>: error calling parseInt: strconv.ParseUint: parsing "100": value out of range',
    ],
    [
      '{{ parseInt "1" 1 8 }}',
      'template: answer:1:3: executing "answer" at <parseInt "1" 1 8>: error calling parseInt: strconv.ParseUint: parsing "1": invalid base 1',
    ],
    [
      '{{ parseInt .Group.x 16 8 }}',
      'template: answer:1:18: executing "answer" at <.Group.x>: invalid value; expected string',
    ],
    [
      '{{ range 1000000 }}x{{ end }}',
      'template: answer:1:19: executing "answer" at <x>: more than 10000 steps are taken',
    ],
  ])('%s: SERVFAIL with Go’s words, and counted', (text, message) => {
    const context = testBuilding();
    const uses = `template IN A {\n answer "${text.replaceAll('"', '\\"')}"\n}`;
    expect(asked(uses, 'a.test. A', {}, context)).toBe(`bare SERVFAIL ${message}`);
    const failures = [...context.metrics.families()].find(
      ([name]) => name === 'coredns_template_template_failures_total',
    )!;
    expect(
      failures[2].map(({ labels: found, data }) => [found, 'value' in data && data.value]),
    ).toEqual([
      [
        {
          ...labels,
          section: 'answer',
          template: text.replaceAll('{{ ', '{{').replaceAll(' }}', '}}'),
        },
        1,
      ],
    ]);
  });

  test.each([
    ['{{ .Name }}', 'dns: not a TTL: "a.test." at line: 1:7'],
    ['{{ .Name }} foo A 1.2.3.4', 'dns: not a TTL: "foo" at line: 1:12'],
    ['{{ if false }}x{{ end }}', 'dns: no record in the text: "" at line: 1:0'],
    ['{{ .Name }} A {{ .Group.x }}', 'dns: bad A A: "<no" at line: 1:14'],
  ])('%s is no record: SERVFAIL with the place, and counted', (text, message) => {
    const context = testBuilding();
    const uses = `template IN A {\n authority "${text}"\n}`;
    expect(asked(uses, 'a.test. A', {}, context)).toBe(`bare SERVFAIL ${message}`);
    const failed = context.metrics.counter('coredns_template_rr_failures_total', {
      ...labels,
      section: 'authority',
      template: text.replaceAll('{{ ', '{{').replaceAll(' }}', '}}'),
    });
    expect(failed.value).toBe(1);
  });
});

test('template counts matches by zone, class and type, and types without a name share a label', () => {
  const context = testBuilding();
  const handler = build('template IN ANY b . {\n match x\n fallthrough\n}', context);
  for (const question of [
    'x.b. A',
    'x.b. A',
    'x.c. MX',
    'x.c. TYPE65280',
    'x.c. TYPE65281',
    'y. A',
  ]) {
    const [name, type] = question.split(' ');
    handler.onQuery!(askQuery(name!, type!).query);
  }
  const count = (zone: string, type: string): number =>
    context.metrics.counter('coredns_template_matches_total', {
      server: 'dns://:53',
      zone,
      view: '',
      class: 'IN',
      type,
    }).value;
  expect([count('b.', 'A'), count('.', 'MX'), count('.', 'other'), count('.', 'A')]).toEqual([
    2, 1, 2, 0,
  ]);
});
