/**
 * The tree of a template, and its text as Go prints it: errors quote it, and so does a metric's label.
 *
 * Owns: the kinds of node, and Go's spelling of each.
 */

/** Octets from the beginning of the text that the node stands in. */
interface Placed {
  readonly at: number;
}

export type Node = Text | ActionNode | Branch | Call | Jump;

export interface Text extends Placed {
  readonly kind: 'text';
  readonly text: string;
}

export interface ActionNode extends Placed {
  readonly kind: 'action';
  readonly pipe: Pipe;
}

export interface Branch extends Placed {
  readonly kind: 'if' | 'range' | 'with';
  readonly pipe: Pipe;
  readonly list: readonly Node[];
  readonly otherwise: readonly Node[] | undefined;
}

/** `{{template "name" pipeline}}` */
export interface Call extends Placed {
  readonly kind: 'template';
  readonly name: string;
  readonly pipe: Pipe | undefined;
}

export interface Jump extends Placed {
  readonly kind: 'break' | 'continue';
}

export interface Pipe extends Placed {
  readonly kind: 'pipe';
  readonly variables: readonly string[];
  /** `=` rather than `:=`. */
  readonly assigns: boolean;
  readonly commands: readonly Command[];
}

export interface Command extends Placed {
  readonly kind: 'command';
  /** At least one. */
  readonly operands: readonly Operand[];
}

export type Operand = Pipe | Field | Variable | FieldChain | FunctionName | Constant | Dot | Nil;

export interface Field extends Placed {
  readonly kind: 'field';
  readonly names: readonly string[];
}

export interface Variable extends Placed {
  readonly kind: 'variable';
  /** With its `$`. */
  readonly name: string;
  readonly fields: readonly string[];
}

/** Fields of what parentheses or a function without arguments give. */
export interface FieldChain extends Placed {
  readonly kind: 'chain';
  readonly of: Operand;
  readonly fields: readonly string[];
}

export interface FunctionName extends Placed {
  readonly kind: 'function';
  readonly name: string;
}

/** `source` is as it was written. An integer is a bigint, a float a number. */
export interface Constant extends Placed {
  readonly kind: 'constant';
  readonly source: string;
  readonly value: string | boolean | bigint | number;
}

export interface Dot extends Placed {
  readonly kind: 'dot';
}

export interface Nil extends Placed {
  readonly kind: 'nil';
}

export function printNodes(nodes: readonly Node[]): string {
  return nodes.map(printNode).join('');
}

function printNode(node: Node): string {
  switch (node.kind) {
    case 'text':
      return node.text;
    case 'action':
      return `{{${printOperand(node.pipe)}}}`;
    case 'template': {
      const argument = node.pipe === undefined ? '' : ` ${printOperand(node.pipe)}`;
      return `{{template "${node.name}"${argument}}}`;
    }
    case 'break':
    case 'continue':
      return `{{${node.kind}}}`;
    case 'if':
    case 'range':
    case 'with': {
      const otherwise = node.otherwise === undefined ? '' : `{{else}}${printNodes(node.otherwise)}`;
      const head = `{{${node.kind} ${printOperand(node.pipe)}}}`;
      return `${head}${printNodes(node.list)}${otherwise}{{end}}`;
    }
    default:
      return node satisfies never;
  }
}

export function printOperand(node: Operand | Command): string {
  switch (node.kind) {
    case 'pipe': {
      const names = node.variables.join(', ');
      const declared = names === '' ? '' : `${names} ${node.assigns ? '=' : ':='} `;
      return declared + node.commands.map(printOperand).join(' | ');
    }
    case 'command':
      return node.operands.map(printInside).join(' ');
    case 'field':
      return `.${node.names.join('.')}`;
    case 'variable':
      return [node.name, ...node.fields].join('.');
    case 'chain':
      return `${printInside(node.of)}.${node.fields.join('.')}`;
    case 'function':
      return node.name;
    case 'constant':
      return node.source;
    case 'dot':
      return '.';
    case 'nil':
      return 'nil';
    default:
      return node satisfies never;
  }
}

function printInside(node: Operand): string {
  return node.kind === 'pipe' ? `(${printOperand(node)})` : printOperand(node);
}
