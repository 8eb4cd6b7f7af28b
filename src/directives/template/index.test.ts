import { describe, expect, test } from 'vitest';
import { parseAs, refusal, testParsing } from '../testing.ts';
import { template } from './index.ts';

/** The configuration, its expressions and templates as text. */
function parsed(text: string, zones: readonly string[] = ['.']): Record<string, unknown> {
  const { patterns, answer, authority, additional, ...rest } = parseAs(
    template,
    text,
    testParsing(zones),
  );
  return {
    ...rest,
    patterns: patterns.map(({ source }) => source),
    answer: answer.map((made) => made.text),
    authority: authority.map((made) => made.text),
    additional: additional.map((made) => made.text),
  };
}

const base = {
  qclass: 1,
  qtype: 28,
  zones: ['.'],
  patterns: [],
  answer: [],
  authority: [],
  additional: [],
  rcode: 0,
  extendedError: undefined,
  fallthrough: [],
};

describe('what is accepted', () => {
  test.each([
    { text: 'template IN AAAA', config: {} },
    { text: 'template IN AAAA {\n}', config: {} },
    { text: 'template ANY ANY', config: { qclass: 255, qtype: 255 } },
    { text: 'template CH TXT', config: { qclass: 3, qtype: 16 } },
    { text: 'template CLASS7 TYPE65', config: { qclass: 7, qtype: 65 } },
    {
      text: 'template IN AAAA A.Example 10.0.0.0/8 b..c dns://c:53',
      config: { zones: ['a.example.', '10.in-addr.arpa.', 'c.'] },
    },
    {
      text: 'template IN AAAA {\nmatch ^a b$\nmatch (?P<x>.)\n}',
      config: { patterns: ['^a', 'b$', '(?P<x>.)'] },
    },
    {
      text: 'template IN AAAA {\nanswer "{{ .Name }} A 1.2.3.4" "x AAAA ::1"\nanswer "{{.Zone}} TXT x"\n}',
      config: { answer: ['{{.Name}} A 1.2.3.4', 'x AAAA ::1', '{{.Zone}} TXT x'] },
    },
    {
      text: 'template IN AAAA {\nauthority "{{ .Name }} NS a"\nadditional "a A 1.2.3.4"\n}',
      config: { authority: ['{{.Name}} NS a'], additional: ['a A 1.2.3.4'] },
    },
    { text: 'template IN AAAA {\nrcode NXDOMAIN\n}', config: { rcode: 3 } },
    { text: 'template IN AAAA {\nrcode NXDOMAIN\nrcode NOERROR\n}', config: { rcode: 0 } },
    { text: 'template IN AAAA {\nrcode NOTIMPL\n}', config: { rcode: 4 } },
    { text: 'template IN AAAA {\nrcode NOTZONE\n}', config: { rcode: 10 } },
    {
      text: 'template IN AAAA {\nederror 21 "not here"\n}',
      config: { extendedError: { code: 21, text: 'not here' } },
    },
    {
      text: 'template IN AAAA {\nederror 65535\n}',
      config: { extendedError: { code: 65_535, text: '' } },
    },
    { text: 'template IN AAAA {\nfallthrough\n}', config: { fallthrough: ['.'] } },
    { text: 'template IN AAAA {\nfallthrough a. B\n}', config: { fallthrough: ['a.', 'b.'] } },
    { text: 'template IN AAAA {\nupstream\nupstream 1.2.3.4 x\n}', config: {} },
  ])('$text', ({ text, config }) => {
    expect(parsed(text)).toEqual({ ...base, ...config });
  });

  test('the zones of a template default to those of the block', () => {
    expect(parsed('template IN AAAA', ['a.', 'b.'])['zones']).toEqual(['a.', 'b.']);
  });

  test.each([
    ['{{ .Foo }} A 1.2.3.4', '.Foo'],
    ['{{ if eq $.Bar 1 }}{{ end }}', '.Bar'],
  ])('%s gives a warning that it fails at every query, as it does in CoreDNS', (text, field) => {
    const context = testParsing();
    parseAs(template, `template IN A {\nanswer "${text}"\n}`, context);
    expect(context.warnings).toEqual([
      `plugin/template: Corefile:2: there is no field ${field}: what reads it is answered SERVFAIL`,
    ]);
  });

  test.each([
    '{{ .Zone }}{{ .Name }}{{ .Class }}{{ .Type }}{{ .Regex }}{{ .Match }}{{ .Group.x }}{{ .Remote }}',
    '{{ .Question.Name }}{{ .Question.Qtype }}{{ .Message.Id }}{{ .Meta "a/b" }}{{ . }}',
    '{{ with .Group }}{{ .anything }}{{ end }}{{ range .Match }}{{ .X }}{{ end }}',
  ])('%s has nothing to warn of', (text) => {
    const context = testParsing();
    parseAs(template, `template IN A {\nanswer "${text.replaceAll('"', '\\"')}"\n}`, context);
    expect(context.warnings).toEqual([]);
  });
});

describe('what is refused', () => {
  test.each([
    ['template', '1:1', 'template takes at least 2 arguments, not 0'],
    ['template IN', '1:10', "Wrong argument count or unexpected line ending after 'IN'"],
    ['template in A', '1:10', 'invalid query class in'],
    ['template XX A', '1:10', 'invalid query class XX'],
    ['template IN aaaa', '1:13', 'invalid RR class aaaa'],
    ['template IN XX', '1:13', 'invalid RR class XX'],
    ['template IN A {\nmatch\n}', '2:1', "unexpected line ending after 'match'"],
    [
      'template IN A {\nmatch (\n}',
      '2:7',
      'could not parse regex: (, error parsing regexp: missing closing ): `(`',
    ],
    ['template IN A {\nmatch a b (?!c)\n}', '2:11', 'could not parse regex: (?!c), error parsing'],
    ['template IN A {\nanswer\n}', '2:1', "unexpected line ending after 'answer'"],
    [
      'template IN A {\nanswer "{{"\n}',
      '2:8',
      'answer: could not compile template: {{, template: answer:1: unclosed action',
    ],
    [
      'template IN A {\nauthority "{{ nope .Name }}"\n}',
      '2:11',
      'could not compile template: {{ nope .Name }}, template: authority:1: function "nope" not defined',
    ],
    [
      'template IN A {\nadditional ok "{{ end }}"\n}',
      '2:15',
      'could not compile template: {{ end }}, template: additional:1: unexpected {{end}}',
    ],
    [
      'template IN A {\nanswer "{{ .Message.Extra }}"\n}',
      '2:8',
      '.Message.Extra is not supported; fields: docs/directives/template.md',
    ],
    ['template IN A {\nrcode\n}', '2:1', "unexpected line ending after 'rcode'"],
    [
      'template IN A {\nrcode nxdomain\n}',
      '2:7',
      'rcode: unknown rcode nxdomain; expected a name in upper case, NXDOMAIN',
    ],
    ['template IN A {\nrcode FOO\n}', '2:7', 'unknown rcode FOO'],
    ['template IN A {\nrcode BADVERS\n}', '2:7', 'BADVERS is an extended rcode'],
    ['template IN A {\nrcode NXDOMAIN x\n}', '2:16', 'rcode takes 1 argument, not 2'],
    ['template IN A {\nederror\n}', '2:1', "unexpected line ending after 'ederror'"],
    [
      'template IN A {\nederror x\n}',
      '2:9',
      'error parsing extended DNS error code x, strconv.ParseUint: parsing "x": invalid syntax',
    ],
    ['template IN A {\nederror -1\n}', '2:9', 'parsing "-1": invalid syntax'],
    ['template IN A {\nederror 65536\n}', '2:9', '65536 is out of range'],
    [`template IN A {\nederror 1 ${'x'.repeat(256)}\n}`, '2:11', 'reason of 256 bytes is too long'],
    ['template IN A {\nederror 1 a b\n}', '2:13', 'ederror takes 1 to 2 arguments, not 3'],
    ['template IN A {\nanswr x\n}', '2:1', '"answr" is not an option (unknown property \'answr\')'],
    ['template IN A {\nexpr true\n}', '2:1', '"expr" of CoreDNS 1.14 is not supported; put the'],
    ['template IN A {\nvar x 1\n}', '2:1', '"var" of CoreDNS 1.14 is not supported'],
  ])('%j', (text, place, message) => {
    const found = refusal(template, text);
    expect(found).toContain(`Corefile:${place}: template`);
    expect(found).toContain(message);
  });
});
