import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { TemplateError } from './error.ts';
import { Template } from './template.ts';
import { Dictionary, List, Struct, type StructType } from './values.ts';

const TYPE: StructType<undefined> = {
  name: '*test.Data',
  fields: {
    Name: () => 'a.example.',
    Match: () => new List('string', ['a', 'b']),
    Group: () => new Dictionary(new Map([['a', '1']])),
  },
  methods: { Meta: { parameters: ['string'], call: (_, [label]) => label } },
  print: () => 'data',
};
const data = Struct.of(TYPE, undefined);

/** Pieces of templates: put together at random, many are nearly right. */
const PIECES: readonly string[] =
  '{{ }} {{- -}} ( ) | := = , . .Name .Match .Group.a .Meta $ $x $i $.Name if else end range with define template block break continue nil true 0 1 -1 1.5 "a" "%d" `r` \'c\' and or not eq lt len index slice print printf html js urlquery call /* */ x %'.split(
    ' ',
  );

const texts = fc
  .array(fc.oneof(fc.constantFrom(...PIECES), fc.constantFrom(' ', '\n', '\\', '"', 'é', '\0')), {
    maxLength: 40,
  })
  .map((pieces) => pieces.join(' '));

/** Actions that are correct by themselves, nested. */
const { action } = fc.letrec<{ value: string; action: string }>((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    fc.constantFrom(
      '.',
      '.Name',
      '.Match',
      '.Group',
      '.Group.a',
      '1',
      '-3',
      '"x%d"',
      'nil',
      'true',
      '$',
    ),
    fc
      .tuple(
        fc.constantFrom('print', 'printf', 'index', 'slice', 'eq', 'lt', 'and', 'or'),
        tie('value'),
        tie('value'),
      )
      .map(([name, a, b]) => `(${name} ${a} ${b})`),
    fc
      .tuple(
        fc.constantFrom('len', 'not', 'html', 'js', 'urlquery', 'printf', '.Meta'),
        tie('value'),
      )
      .map(([name, a]) => `(${name} ${a})`),
    fc
      .tuple(tie('value'), fc.constantFrom('print', 'len', 'printf "%5v|%q|%x"'))
      .map(([a, name]) => `(${a} | ${name})`),
  ),
  action: fc.oneof(
    { depthSize: 'small' },
    fc.string({ maxLength: 5 }).map((text) => text.replaceAll('{', '')),
    tie('value').map((value) => `{{${value}}}`),
    fc
      .tuple(
        fc.constantFrom('if', 'range', 'with', 'range $i, $e :='),
        tie('value'),
        tie('action'),
        tie('action'),
      )
      .map(([kind, value, a, b]) => `{{${kind} ${value}}}${a}{{else}}${b}{{end}}`),
    fc.tuple(tie('value'), tie('action')).map(([value, rest]) => `{{$x := ${value}}}${rest}{{$x}}`),
    fc.tuple(tie('action'), tie('action')).map(([a, b]) => a + b),
  ),
}));

/** Of CPU time, which a busy machine does not lengthen. */
const CPU_US_MAX = 500_000;

function attempt(text: string): void {
  const from = process.cpuUsage();
  try {
    const template = new Template('answer', text);
    expect(new Template('answer', template.text).text).toBe(template.text);
    template.execute(data);
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    expect(error.message).toMatch(/^template: answer:\d+:/);
  }
  expect(process.cpuUsage(from).user).toBeLessThan(CPU_US_MAX);
}

test('a template of any text gives text or a TemplateError within half a second of CPU time', () => {
  fc.assert(fc.property(fc.oneof(fc.string({ maxLength: 60 }), texts), attempt));
});

test('a template that the grammar allows gives text or a TemplateError, as does its printed form', () => {
  fc.assert(
    fc.property(action, (text) => {
      attempt(text);
      const outcome = (source: string): string => {
        try {
          return new Template('answer', source).execute(data);
        } catch (error) {
          // Places differ, reasons do not.
          return (error as Error).message.replace(/^template: answer:[\d:]+/, '');
        }
      };
      const template = parsed(text);
      if (template !== undefined) expect(outcome(template.text)).toBe(outcome(text));
    }),
  );
});

function parsed(text: string): Template | undefined {
  try {
    return new Template('answer', text);
  } catch {
    return undefined;
  }
}
