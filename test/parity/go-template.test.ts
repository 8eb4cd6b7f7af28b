/**
 * Our templates beside Go's own: kubectl has text/template inside, and writes with it whatever it is
 * asked to. Its data is none of ours, so these templates compute with what they hold themselves.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Template } from '../../src/gotemplate/template.ts';
import { useLab } from '../harness/lab.ts';

const lab = useLab();
const config = lab.write('config', 'apiVersion: v1\nkind: Config\ncurrent-context: ""\n');

/** Go's output; its errors go to stderr. */
async function byGo(template: string): Promise<string> {
  const args = ['--kubeconfig', config, 'config', 'view', '-o', `go-template=${template}`];
  return (await promisify(execFile)('kubectl', args)).stdout;
}

async function errorOfGo(template: string): Promise<string> {
  try {
    return `no error: ${await byGo(template)}`;
  } catch (error) {
    const { stderr } = error as { readonly stderr: string };
    return /^error: error (?:executing|parsing) template [\s\S]*?(template: .*)$/m.exec(
      stderr,
    )![1]!;
  }
}

function errorOfOurs(template: string): string {
  try {
    return `no error: ${new Template('output', template).execute('')}`;
  } catch (error) {
    return (error as Error).message;
  }
}

const SEPARATOR = '\n~~~\n';

const WRITTEN: readonly string[] = [
  'plain',
  'a {{- " b " -}} c',
  'a\n\t{{- /* gone */ -}}\n b',
  '{{/* gone */}}x',
  '{{-3}}',
  '{{"q\\"\\u00e9\\x41\\101"}}{{`raw\\n`}}',
  "{{'a'}} {{'\\n'}} {{'é'}} {{0x1F}} {{017}} {{0b11}} {{1_000}} {{1.5}} {{-2}} {{1e3}} {{1e21}} {{1e-7}} {{.5}}",
  '{{true}} {{false}}',
  '{{if 1}}a{{else}}b{{end}}{{if ""}}a{{else if 0}}b{{else}}c{{end}}',
  '{{with "x"}}{{.}}{{end}}{{with ""}}a{{else with "y"}}{{.}}{{else}}z{{end}}',
  '{{$x := 1}}{{if true}}{{$x = 2}}{{$x := 3}}{{$x}}{{end}}{{$x}}',
  '{{block "b" 5}}[{{.}}]{{end}}{{template "b" "v"}}{{template "b"}}',
  '{{"abc" | printf "%s-%s" "x"}} {{len "é"}} {{"é" | len | printf "%03d"}}',
  '{{index "abc" 1}} {{slice "abcdef" 1 3}} {{slice "abc" 1}} {{slice "abc"}}',
  '{{and 1 0 2}} {{and 1 2}} {{or 0 "" "x"}} {{or 0 ""}} {{not 0}} {{and 1 (or 0 3)}} {{or 1 (index "" 9)}}',
  '{{eq 1 1}} {{eq 1 2 1}} {{ne "a" "b"}} {{lt 1 2}} {{le "b" "a"}} {{gt 2.5 1.5}} {{ge 1 1}} {{eq true false}}',
  '{{print 1 2 "a" 3 "b" true nil}} {{println 1 "a"}}',
  '{{html "<a href=\'x\'>&\\"\\x00"}} {{js "a\'b\\"<>&=\\n\\u00e9\\\\"}} {{urlquery "a b&c/é~"}}',
  '{{html 1 2}} {{urlquery 1 "x"}}',
  '{{printf "%s|%5s|%-5s|%.2s|%q|%x|%X|% x|%#x" "abc" "abc" "abc" "abc" "a\\"b\\x00\\xff" "hi" "hi" "hi" "hi"}}',
  '{{printf "%d|%5d|%-5d|%05d|%+d|% d|%x|%X|%02x|%#x|%o|%#o|%O|%b|%c|%q|%U" 42 42 42 -42 42 42 255 255 5 255 8 8 8 5 65 65 233}}',
  '{{printf "%v|%v|%v|%v|%v|%5v|%-6v|" 1 "a" true 1.5 nil 3 true}}',
  '{{printf "%t|%T|%T|%T|%T|%T" true 1 "a" 1.5 true nil}}',
  '{{printf "%f|%.2f|%8.3f|%-8.1f|%e|%g|%G|%08.2f|%.3g" 1.5 2.345 3.14159 2.5 12345.678 0.00001 1e30 -1.5 1234.5}}',
  '{{printf "%d" "a"}}|{{printf "%s" 1}}|{{printf "%d"}}|{{printf "a" 1 "b" nil}}|{{printf "%"}}|{{printf "%z" 1}}|{{printf "%t" 1}}',
  '{{printf "%*d|%-*d|%.*f" 5 42 5 42 1 2.55}}|{{printf "%%|%5%|"}}',
  '{{printf "%[2]d %[1]d|%[3]d|%[x]d|%[2]s" 1 "a"}} {{printf "%[1]s %s %5.1[1]s" "a" "b"}}',
  '{{printf "%6.2d|%.0d|%x" 5 0 -255}}',
  '{{printf "%q %+q %#q" "é" "é" "é"}}',
  '{{(printf "%s" "x") | len}} {{len (print 1 2)}}',
  '{{$a := "x"}}{{$b := $a}}{{$b}}{{with 3}}{{$x := .}}{{$x}}{{end}}',
  '{{/* a */ -}}   b',
  '{{ "a" -}}\n\n{{- "b" }}',
  '{{if and (eq 1 1) (ne "a" "b")}}yes{{end}}',
  '{{println}}',
  '{{1 | print 2 | print 3}}',
  '{{"a" | print |}}',
  'a }} { b',
  '{{with $x := "v"}}{{$x}}{{.}}{{end}}',
  '{{block "r" ""}}{{if ne . "aaa"}}{{.}},{{template "r" (print . "a")}}{{end}}{{end}}',
];

const REFUSED: readonly string[] = [
  '{{',
  '{{end}}',
  '{{if}}x{{end}}',
  '{{if true}}x',
  '{{foo 1}}',
  '{{$x}}',
  '{{if true}}{{$x := 1}}{{end}}{{$x}}',
  '{{break}}',
  '{{range "a"}}{{else}}{{continue}}{{end}}',
  '{{"abc}}',
  "{{'ab'}}",
  "{{'a}}",
  '{{`abc}}',
  '{{(1}}',
  '{{1)}}',
  '{{printf 3, 4}}',
  '{{printf 3`x`}}',
  '{{1.2.3}}',
  '{{1 | 2}}',
  '{{nil}}',
  '{{"a" 1}}',
  '{{with $v, $u := 3}}{{end}}',
  '{{template .X}}',
  '{{template "x"}}',
  '{{template "x" 1 2}}',
  '{{define "a"}}1{{end}}{{define "a"}}2{{end}}',
  '{{/* abc',
  '{{/* abc */ x}}',
  '{{else}}',
  '{{if true}}{{else}}{{else}}{{end}}',
  '{{true.Foo}}',
  '{{"a".Foo}}',
  '{{index "abc" 3}}',
  '{{index "abc" 4}}',
  '{{1..2}}',
  '{{0x}}',
  '{{12abc}}',
  '{{printf "%s" nil | len | len}}',
  '{{index "abc" "a"}}',
  '{{index 1 2}}',
  '{{slice "abc" 2 1}}',
  '{{slice "abc" 4}}',
  '{{slice "abc" 1 2 3}}',
  '{{slice 1}}',
  '{{len 3}}',
  '{{len nil}}',
  '{{eq 1}}',
  '{{eq 1 "a"}}',
  '{{lt 1 "a"}}',
  '{{lt true false}}',
  '{{not}}',
  '{{ne 1 2 3}}',
  '{{printf}}',
  '{{printf 1}}',
  '{{call nil}}',
  '{{range "abc"}}{{end}}',
  '{{range true}}{{end}}',
  'x\ny {{ len 3 }}',
  '{{\nlen\n3 }}',
  '{{\n(1',
  '{{ $x := }}',
  '{{ $x : 1 }}',
  '{{ a$b }}',
  '{{ . ! }}',
  '{{ }}',
  '{{ ( ) }}',
  '{{define "t"}}{{len 3}}{{end}}{{template "t"}}',
  '{{define}}x{{end}}',
  '{{ |print}}',
  '{{"a" | print | "b"}}',
  '{{(print 1).Foo}}',
  '{{$x := "a"}}{{$x.Foo}}',
  '{{99999999999999999999}}',
  '{{index}}',
  '{{and}}',
  '{{"\\q"}}',
  '{{end 1}}',
  '{{block "x"}}{{end}}',
  '{{range 1 2}}{{end}}',
];

/** All in one text, each in a scope of its own: kubectl takes a moment to start. */
const written = (
  await byGo(WRITTEN.map((template) => `{{if true}}${template}{{end}}`).join(SEPARATOR))
).split(SEPARATOR);

test.each(WRITTEN.map((template, i) => [template, written[i]!]))(
  '%j is %j',
  (template, expected) => {
    expect(new Template('output', template).execute('')).toBe(expected);
  },
);

test.concurrent.each(REFUSED)('what Go refuses, we refuse with its words: %j', async (template) => {
  expect(errorOfOurs(template)).toBe(await errorOfGo(template));
});
