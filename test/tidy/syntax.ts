/**
 * The functions of the project as the compiler reads them, for the tidy tests.
 *
 * Owns:   the compiler's syntax trees, through its unstable API; package.json pins the version.
 * Is not: a reader of types: it cannot say what type an expression has.
 */
import { join } from 'node:path';
import {
  type Node,
  type NodeArray,
  type SourceFile,
  SyntaxKind,
  isArrowFunction,
  isClassDeclaration,
  isConstructorDeclaration,
  isFunctionDeclaration,
  isFunctionExpression,
  isGetAccessorDeclaration,
  isIdentifier,
  isMethodDeclaration,
  isPropertyAssignment,
  isPropertyDeclaration,
  isSetAccessorDeclaration,
  isVariableDeclaration,
} from 'typescript/unstable/ast';
import { API } from 'typescript/unstable/sync';

const ROOT = join(import.meta.dirname, '../..');

export interface FunctionFacts {
  readonly file: string;
  /** Where it begins, from 1. */
  readonly line: number;
  /** `readQuery`, `Server.respond` or `Server.constructor`; undefined if nothing names it. */
  readonly name: string | undefined;
  /** From its first line to that of its closing brace; the docstring is not counted. */
  readonly lines: number;
  readonly parameters: number;
  /** A function within a function, whose costs count as those of the outer one too. */
  readonly isNested: boolean;
  /** The comment in front of it, or ''. */
  readonly docstring: string;
  /** Each place in its body that allocates or gives up its turn, in order. */
  readonly costs: readonly Cost[];
}

export interface Cost {
  readonly line: number;
  readonly what: string;
}

type FunctionNode = Node & {
  readonly parameters: NodeArray<Node>;
  readonly body?: Node;
  readonly name?: Node;
};

/** Costs that a query should not have, by their syntax. */
const COSTS: ReadonlyMap<SyntaxKind, string> = new Map([
  [SyntaxKind.ArrowFunction, 'a closure'],
  [SyntaxKind.FunctionExpression, 'a closure'],
  [SyntaxKind.SpreadElement, 'a spread'],
  [SyntaxKind.SpreadAssignment, 'a spread'],
  [SyntaxKind.AwaitExpression, '`await`'],
  [SyntaxKind.ForOfStatement, '`for...of`'],
  [SyntaxKind.TemplateExpression, 'a template string'],
]);

/** The functions of each of `files`, whose paths are relative to the project and in its tsconfig. */
export function functionsOf(files: readonly string[]): FunctionFacts[] {
  const api = new API({ cwd: ROOT });
  try {
    const config = join(ROOT, 'tsconfig.json');
    const { program } = api.updateSnapshot({ openProjects: [config] }).getProjects()[0]!;
    return files.flatMap((file) => {
      const source = program.getSourceFile(join(ROOT, file));
      if (source === undefined) throw new Error(`${file} is in no folder that tsconfig.json names`);
      return functionsIn(source, file);
    });
  } finally {
    api.close();
  }
}

function functionsIn(source: SourceFile, file: string): FunctionFacts[] {
  const facts: FunctionFacts[] = [];
  const lineAt = lineFinder(source.text);

  function visit(node: Node, className: string, isNested: boolean): void {
    const found = asFunction(node);
    if (found?.body !== undefined) {
      const start = node.getStart(source);
      const line = lineAt(start);
      facts.push({
        file,
        line,
        name: nameOf(found, className),
        lines: lineAt(node.end) - line + 1,
        parameters: found.parameters.length,
        isNested,
        docstring: source.text.slice(node.pos, start),
        costs: costsOf(found.body, source, lineAt),
      });
    }
    const inner = isClassDeclaration(node) ? textOfName(node.name) : className;
    node.forEachChild((child) => {
      visit(child, inner ?? '', isNested || found !== undefined);
    });
  }

  visit(source, '', false);
  return facts;
}

function asFunction(node: Node): FunctionNode | undefined {
  return isFunctionDeclaration(node) ||
    isMethodDeclaration(node) ||
    isConstructorDeclaration(node) ||
    isGetAccessorDeclaration(node) ||
    isSetAccessorDeclaration(node) ||
    isFunctionExpression(node) ||
    isArrowFunction(node)
    ? node
    : undefined;
}

function nameOf(node: FunctionNode, className: string): string | undefined {
  if (isConstructorDeclaration(node)) return `${className}.constructor`;
  const own = textOfName(node.name);
  const { parent } = node;
  const isMember = isMethodDeclaration(node) || isPropertyDeclaration(parent);
  const given =
    isVariableDeclaration(parent) || isPropertyAssignment(parent) || isPropertyDeclaration(parent)
      ? textOfName(parent.name)
      : undefined;
  const name = own ?? given;
  return isMember && className !== '' && name !== undefined ? `${className}.${name}` : name;
}

function textOfName(name: Node | undefined): string | undefined {
  if (name === undefined) return undefined;
  return isIdentifier(name) ? name.text : name.getText();
}

/** Nothing within a `throw` counts: whoever throws has left the hot path. */
function costsOf(body: Node, source: SourceFile, lineAt: (offset: number) => number): Cost[] {
  const costs: Cost[] = [];
  function visit(node: Node): void {
    if (node.kind === SyntaxKind.ThrowStatement) return;
    const what = COSTS.get(node.kind);
    if (what !== undefined) costs.push({ line: lineAt(node.getStart(source)), what });
    node.forEachChild(visit);
  }
  visit(body);
  return costs;
}

/** A function from an offset to its line, from 1. */
function lineFinder(text: string): (offset: number) => number {
  const starts = [0, ...Array.from(text.matchAll(/\n/g), ({ index }) => index + 1)];
  return (offset) => {
    let low = 0;
    for (let high = starts.length; high - low > 1;) {
      const middle = (low + high) >> 1;
      if (starts[middle]! <= offset) low = middle;
      else high = middle;
    }
    return low + 1;
  };
}
