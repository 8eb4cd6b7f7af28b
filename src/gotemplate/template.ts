/**
 * Go's text/template: the engine behind the directive `template`
 * (https://pkg.go.dev/text/template; what differs is in directives/template/README.md).
 *
 *   text --tokens.ts--> tokens --parser.ts--> nodes.ts, once
 *   nodes and data --evaluate.ts, functions.ts, format.ts--> text, for each query
 *
 * Owns:    that a template is bounded (error.ts) and can do nothing but compute: no I/O, no clock, and
 *          no property of a JavaScript object that its type does not list.
 * Is not:  aware of DNS: what the data is, and what the text means, is the caller's.
 */
import { TemplateError } from './error.ts';
import { type Program, evaluate } from './evaluate.ts';
import { fieldsOfData } from './fields.ts';
import { BUILTINS, type TemplateFunction } from './functions.ts';
import { printNodes } from './nodes.ts';
import { octetsOf, textOf } from './octets.ts';
import { parse } from './parser.ts';
import type { Value } from './values.ts';

export class Template {
  readonly #program: Program;
  /** The template as Go prints it: actions without superfluous spaces. */
  readonly text: string;
  /** Fields of its data that it names outside of `define`, `range` and `with`, as paths. */
  readonly fields: readonly (readonly string[])[];

  /**
   * Parses `text`; `name` is for errors. `functions` are added to the builtins. Throws TemplateError.
   */
  constructor(
    name: string,
    text: string,
    functions: Readonly<Record<string, TemplateFunction>> = {},
  ) {
    const source = octetsOf(text);
    const known = new Set([...Object.keys(BUILTINS), ...Object.keys(functions)]);
    const { templates } = parse(name, source, known);
    this.#program = { name, source, templates, functions };
    const nodes = templates.get(name)!;
    this.text = textOf(printNodes(nodes));
    this.fields = fieldsOfData(nodes);
  }

  /** Returns the text that the template writes for `data`. Throws TemplateError, and nothing else. */
  execute(data: Value): string {
    try {
      return textOf(evaluate(this.#program, data));
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      throw new TemplateError(textOf(error.message));
    }
  }
}
