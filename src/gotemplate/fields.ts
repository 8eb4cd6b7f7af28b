/**
 * Which fields of its data a template names, as far as that can be seen without executing it: where
 * the dot is still the data, and after `$`.
 *
 * Owns:   where the dot is still the data: within `if`, and not within `with` and `range`.
 * Is not: complete: a field that is reached through a variable is not seen.
 */
import type { Command, Node, Operand, Pipe } from './nodes.ts';

/** Each as its path, `['Question', 'Name']` for `.Question.Name`. */
export function fieldsOfData(nodes: readonly Node[]): readonly (readonly string[])[] {
  const found: (readonly string[])[] = [];
  walk(nodes, true, found);
  return found;
}

/** `isData` says whether the dot is the data. */
function walk(nodes: readonly Node[], isData: boolean, found: (readonly string[])[]): void {
  for (const node of nodes) {
    if (!('pipe' in node)) continue;
    if (node.pipe !== undefined) visit(node.pipe, isData, found);
    if (node.kind === 'action' || node.kind === 'template') continue;
    walk(node.list, isData && node.kind === 'if', found);
    if (node.otherwise !== undefined) walk(node.otherwise, isData, found);
  }
}

function visit(
  node: Pipe | Command | Operand,
  isData: boolean,
  found: (readonly string[])[],
): void {
  switch (node.kind) {
    case 'pipe':
      for (const command of node.commands) visit(command, isData, found);
      break;
    case 'command':
      for (const operand of node.operands) visit(operand, isData, found);
      break;
    case 'chain':
      visit(node.of, isData, found);
      break;
    case 'field':
      if (isData) found.push(node.names);
      break;
    case 'variable':
      if (node.name === '$' && node.fields.length > 0) found.push(node.fields);
      break;
    case 'constant':
    case 'dot':
    case 'function':
    case 'nil':
      break;
    default:
      node satisfies never;
  }
}
