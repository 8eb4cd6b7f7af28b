/** Answers that clients got, field by field, in a form in which two servers can be compared. */
import { AA, AD, CD, RA, RD, Reply, TC } from '../../harness/message.ts';

export type Field =
  | 'silence'
  | 'rcode'
  | 'question'
  | 'aa'
  | 'tc'
  | 'rd'
  | 'ra'
  | 'ad'
  | 'cd'
  | 'edns'
  | 'answer'
  | 'authority'
  | 'additional'
  | 'ttl';

export type Answer = Readonly<Record<Field, string>>;

const FLAGS: readonly (readonly [Field, number])[] = [
  ['aa', AA],
  ['tc', TC],
  ['rd', RD],
  ['ra', RA],
  ['ad', AD],
  ['cd', CD],
];

export const FIELDS: readonly Field[] = [
  'silence',
  'rcode',
  'question',
  ...FLAGS.map(([field]) => field),
  'edns',
  'answer',
  'authority',
  'additional',
  'ttl',
];

/** TTLs stand apart from the records, in the order of the sorted records: they count down meanwhile. */
export function answerOf(octets: Buffer | undefined): Answer {
  const nothing = Object.fromEntries(FIELDS.map((field) => [field, ''])) as Record<Field, string>;
  if (octets === undefined) return { ...nothing, silence: 'no answer' };
  const reply = new Reply(octets);
  const sections = [reply.answers, reply.authorities, reply.additionals].map((section) =>
    section
      .map(({ name, type, ttl, data }) => ({
        text: `${name.toLowerCase()} ${type} ${dataText(data)}`,
        ttl,
      }))
      .toSorted((a, b) => (a.text < b.text ? -1 : 1)),
  );
  const [answer, authority, additional] = sections.map((section) =>
    section.map(({ text }) => text).join('\n'),
  );
  return {
    ...nothing,
    ...Object.fromEntries(FLAGS.map(([field, flag]) => [field, String(reply.has(flag))])),
    rcode: String(reply.rcode),
    question: JSON.stringify(reply.question),
    edns: String(reply.opt !== undefined),
    answer: answer!,
    authority: authority!,
    additional: additional!,
    ttl: sections.flatMap((section) => section.map(({ ttl }) => ttl)).join(' '),
  };
}

function dataText(data: unknown): string {
  return JSON.stringify(data, (_, value: unknown) =>
    typeof value === 'string' ? value.toLowerCase() : value,
  );
}
