import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeMessage } from '../../dns/codec.ts';
import { HEADER_OCTETS } from '../../dns/header.ts';
import { nameToText } from '../../dns/name.ts';
import { typeName } from '../../dns/rrtype.ts';
import { askQuery } from '../../query/testing.ts';
import { PASS } from '../../query/verdict.ts';
import { parseAs, testBuilding } from '../testing.ts';
import { template } from './index.ts';

/** Names of any octets, as clients may send them. */
const name = fc
  .array(fc.uint8Array({ minLength: 1, maxLength: 40 }), { maxLength: 4 })
  .map((labels) =>
    nameToText(Uint8Array.from([...labels.flatMap((label) => [label.length, ...label]), 0])),
  );
const qtype = fc.oneof(fc.constantFrom(1, 28, 16, 255, 5), fc.nat(0xffff)).map(typeName);

const handler = template.build!(
  [
    'template ANY A {\n match ^(?P<first>[^.]*)[.](.*)$\n answer "{{ .Name }} 60 IN A 192.0.2.{{ len .Group.first }}"\n fallthrough\n}',
    'template IN TXT {\n answer "{{ .Name }} TXT {{ printf \\"%q\\" .Question.Name }} \\"{{ .Group }}\\""\n answer "{{ .Question.Name }} TXT {{ slice .Name 1 }}"\n}',
    'template ANY ANY {\n match x\n answer "{{ index .Match 0 }} {{ .Class }} {{ .Type }} \\\\# 2 {{ printf \\"%04x\\" .Question.Qtype }}"\n}',
  ].map((use) => parseAs(template, use)),
  testBuilding(),
)!;

test('a template answers any question once, with a well-formed message', () => {
  fc.assert(
    fc.property(name, qtype, fc.boolean(), (asked, type, edns) => {
      const { query, responses } = askQuery(asked, type, edns ? { edns: 1232 } : {});
      const verdict = handler.onQuery!(query);
      expect(responses).toHaveLength(verdict === PASS ? 0 : 1);
      for (const { message, failure } of responses) {
        const decoded = decodeMessage(message.wire)!;
        expect(decoded.questions[0]!.name).toBe(nameToText(query.msg, HEADER_OCTETS));
        expect(failure?.message ?? '').not.toContain('cannot be written');
      }
    }),
    { numRuns: 300 },
  );
});
