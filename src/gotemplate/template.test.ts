import { describe, expect, test } from 'vitest';
import { OUTPUT_OCTETS_MAX, TemplateError } from './error.ts';
import { octetsOf } from './octets.ts';
import { Template } from './template.ts';
import { Dictionary, Integer, List, Struct, type StructType, type Value } from './values.ts';

interface Person {
  readonly name: string;
  readonly age: number;
}

const PERSON: StructType<Person> = {
  name: '*test.Person',
  fields: {
    Name: ({ name }) => name,
    Age: ({ age }) => new Integer('uint16', BigInt(age)),
    Tags: () => new List('string', ['a', 'b', 'c']),
    Group: () =>
      new Dictionary(
        new Map([
          ['b', '2'],
          ['a', '1'],
        ]),
      ),
    Nobody: () => undefined,
  },
  methods: {
    Greet: {
      parameters: ['string'],
      call: ({ name }, [greeting]) => `${greeting as string}, ${name}`,
    },
  },
  print: ({ name }) => `<${name}>`,
};

const ada = Struct.of(PERSON, { name: 'Ada', age: 36 });

function execute(text: string, data: Value = ada): string {
  return new Template('answer', text).execute(data);
}

function fault(text: string, data: Value = ada): string {
  try {
    return `no fault: ${execute(text, data)}`;
  } catch (error) {
    expect(error).toBeInstanceOf(TemplateError);
    return (error as Error).message;
  }
}

// Templates that need no data are compared with Go itself: test/parity/go-template.test.ts.
describe('data of a template', () => {
  test.each([
    ['{{.Name}} {{ .Age }}', 'Ada 36'],
    ['{{.}}', '<Ada>'],
    ['{{.Tags}} {{.Group}}', '[a b c] map[a:1 b:2]'],
    ['{{.Greet "Hello"}}', 'Hello, Ada'],
    ['{{"Hi" | .Greet}}', 'Hi, Ada'],
    ['{{.Group.a}}{{index .Group "b"}}', '12'],
    ['[{{.Group.c}}][{{index .Group "c"}}]', '[<no value>][]'],
    ['{{.Group.c.d}}', '<no value>'],
    ['{{index .Tags 1}} {{len .Tags}} {{len .Group}}', 'b 3 2'],
    ['{{slice .Tags 1}} {{slice .Name 0 1}}', '[b c] A'],
    ['{{range .Tags}}{{.}},{{end}}', 'a,b,c,'],
    ['{{range $e := .Tags}}{{$e}}{{$.Name}},{{end}}', 'aAda,bAda,cAda,'],
    ['{{range $i, $e := .Tags}}{{$i}}{{$e}},{{end}}', '0a,1b,2c,'],
    ['{{range $k, $v := .Group}}{{$k}}={{$v}};{{end}}', 'a=1;b=2;'],
    ['{{range .Nobody}}x{{else}}none{{end}}', 'none'],
    ['{{range .Tags}}{{if eq . "b"}}{{break}}{{end}}{{.}}{{end}}', 'a'],
    ['{{range .Tags}}{{if eq . "b"}}{{continue}}{{end}}{{.}}{{end}}', 'ac'],
    ['{{$i := ""}}{{range $i = .Tags}}{{end}}{{$i}}', 'c'],
    ['{{$i := 0}}{{$e := ""}}{{range $i, $e = .Tags}}{{end}}{{$i}}{{$e}}', '2c'],
    ['{{range $i := 3}}{{$i}}{{end}}', '012'],
    ['{{with .Name}}{{.}}{{end}}{{with .Nobody}}x{{else}}y{{end}}', 'Aday'],
    ['{{if and (eq .Name "Ada") (gt .Age 35)}}yes{{else}}no{{end}}', 'yes'],
    ['{{eq .Age 36}} {{lt .Age 37}} {{eq .Nobody nil}} {{eq . $}}', 'true true true true'],
    [
      '{{printf "%T %T %T %04x %s" . .Tags .Age .Age .Tags}}',
      '*test.Person []string uint16 0024 [a b c]',
    ],
    ['{{printf "%q" .Tags}} {{printf "%v" .Group}}', '["a" "b" "c"] map[a:1 b:2]'],
    ['{{define "p"}}{{.Name}}!{{end}}{{template "p" .}}', 'Ada!'],
    ['{{(index .Tags 0) | printf "%s%s" "x"}}', 'xa'],
    ['{{$p := .}}{{$p.Name}} {{$p.Greet "Yo"}} {{($p).Group.a}}', 'Ada Yo, Ada 1'],
  ])('%s is %s', (text, expected) => {
    expect(execute(text)).toBe(expected);
  });

  test('data that is not ASCII counts in octets, and comes out as it went in', () => {
    expect(execute('é{{.}}ü{{len .}}', octetsOf('Straße'))).toBe('éStraßeü7');
  });

  test('data that no template reads is not made', () => {
    const type: StructType<undefined> = {
      name: '*test.T',
      fields: {
        Costly: () => {
          throw new Error('was read');
        },
      },
      methods: {},
      print: () => '',
    };
    expect(execute('{{if false}}{{.Costly}}{{end}}x', Struct.of(type, undefined))).toBe('x');
  });
});

describe('faults of an execution name place, node and reason', () => {
  test.each([
    ['{{ .Foo }}', '1:3', '.Foo', "can't evaluate field Foo in type *test.Person"],
    ['{{ .Name.Foo }}', '1:8', '.Name.Foo', "can't evaluate field Foo in type string"],
    ['{{ .Tags.Foo }}', '1:8', '.Tags.Foo', "can't evaluate field Foo in type []string"],
    [
      'a\n{{ index .Tags 3 }}',
      '2:3',
      'index .Tags 3',
      'error calling index: reflect: slice index out of range',
    ],
    ['{{ index .Tags 4 }}', '1:3', 'index .Tags 4', 'error calling index: index out of range: 4'],
    [
      '{{ index .Group 1 }}',
      '1:3',
      'index .Group 1',
      'error calling index: value has type int; should be string',
    ],
    ['{{ .Name "x" }}', '1:3', '.Name', 'Name has arguments but cannot be invoked as function'],
    ['{{ .Group.a "x" }}', '1:9', '.Group.a', 'a is not a method but has arguments'],
    ['{{ .Greet }}', '1:3', '.Greet', 'wrong number of args for Greet: want 1 got 0'],
    ['{{ .Greet 1 }}', '1:10', '1', 'expected string; found 1'],
    ['{{ .Greet .Age }}', '1:10', '.Age', 'wrong type for value; expected string; got uint16'],
    ['{{ .Greet .Nobody }}', '1:10', '.Nobody', 'invalid value; expected string'],
    ['{{ .Greet nil }}', '1:10', 'nil', 'cannot assign nil to string'],
    [
      '{{ eq .Name .Age }}',
      '1:3',
      'eq .Name .Age',
      'error calling eq: incompatible types for comparison',
    ],
    [
      '{{ eq .Tags .Tags }}',
      '1:3',
      'eq .Tags .Tags',
      'error calling eq: non-comparable type []string: [a b c]',
    ],
    ['{{ range .Name }}{{end}}', '1:9', '.Name', "range can't iterate over Ada"],
    [
      '{{ .constructor }}',
      '1:3',
      '.constructor',
      "can't evaluate field constructor in type *test.Person",
    ],
    [
      '{{ .Group.constructor.x }}{{ .__proto__ }}',
      '1:29',
      '.__proto__',
      "can't evaluate field __proto__ in type *test.Person",
    ],
  ])('%j', (text, place, node, reason) => {
    expect(fault(text)).toBe(
      `template: answer:${place}: executing "answer" at <${node}>: ${reason}`,
    );
  });
});

describe('every execution is bounded', () => {
  const twenty = new List(
    'string',
    Array.from({ length: 20 }, () => 'x'),
  );

  test.each([
    [
      '{{range .}}{{range $}}{{range $}}{{range $}}x{{end}}{{end}}{{end}}{{end}}',
      'more than 10000 steps',
    ],
    ['{{range 1000000000}}{{end}}', 'more than 10000 steps'],
    ['{{$x := "0123456789"}}{{range .}}{{$x = print $x $x}}{{end}}{{$x}}', 'more than 10000 steps'],
    ['{{printf "%999999999d" 1}}', 'more than 32768 octets are written'],
    ['{{range .}}{{printf "%9999d" 1}}{{end}}', 'more than 32768 octets are written'],
    [
      '{{define "a"}}{{template "a"}}{{end}}{{template "a"}}',
      'exceeded maximum template depth (100)',
    ],
  ])('%s', (text, reason) => {
    const from = process.cpuUsage();
    expect(fault(text, twenty)).toContain(reason);
    expect(process.cpuUsage(from).user).toBeLessThan(200_000); // us
  });

  test('calls and nesting together do not overflow the stack', () => {
    const open = '{{if true}}'.repeat(60);
    const text = `{{define "a"}}${open}{{template "a"}}${'{{end}}'.repeat(60)}{{end}}{{template "a"}}`;
    expect(fault(text)).toContain('nested deeper than 400');
  });

  test.each([
    ['actions', `${'{{if true}}'.repeat(101)}${'{{end}}'.repeat(101)}`],
    ['parentheses', `{{${'('.repeat(5000)}1${')'.repeat(5000)}}}`],
    ['else-ifs', `{{if 0}}${'{{else if 0}}'.repeat(2000)}{{end}}`],
  ])('nesting of %s is bounded when the text is read', (_, text) => {
    expect(fault(text)).toContain('nested deeper than 100');
  });

  test('the length of the text of a template is bounded', () => {
    expect(fault('x'.repeat(OUTPUT_OCTETS_MAX + 1))).toContain('is longer than 32768');
  });
});

describe('the text of a template is as Go prints it', () => {
  test.each([
    ['{{ .Name }} 60 IN A {{index .Tags 1}}', '{{.Name}} 60 IN A {{index .Tags 1}}'],
    [
      '{{- if  .A -}} x {{- else if (eq 1 2)}}y{{end}}',
      '{{if .A}}x{{else}}{{if (eq 1 2)}}y{{end}}{{end}}',
    ],
    [
      '{{$x:=1}}{{$x=2}}{{range $i,$e := .A | print "b"}}{{break}}{{end}}',
      '{{$x := 1}}{{$x = 2}}{{range $i, $e := .A | print "b"}}{{break}}{{end}}',
    ],
    [
      '{{with $x := .A}}{{$x.B.C}}{{(print).D}}{{template "t" .}}{{end}}{{`r`}}{{nil | print}}',
      '{{with $x := .A}}{{$x.B.C}}{{(print).D}}{{template "t" .}}{{end}}{{`r`}}{{nil | print}}',
    ],
  ])('%s', (text, printed) => {
    expect(new Template('answer', text).text).toBe(printed);
  });
});
