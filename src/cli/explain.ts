/**
 * `nodelocald explain FILE [NAME [TYPE]]`: which block answers a query, what it passes there, which
 * upstreams it is sent to, and how long the answer is kept.
 *
 * Owns:    the outline of the explanation; each directive says its own part.
 */
import { type DirectiveUse, parseCorefile } from '../corefile/blocks.ts';
import { normalizeZone } from '../corefile/keys.ts';
import {
  type ConfiguredBlock,
  DIRECTIVE_NAMES,
  type Said,
  configure,
  labelOf,
} from '../directives/configure.ts';
import { QUERY_COUNTERS } from '../directives/contributions.ts';
import type { AskedName, ListenPoint } from '../directives/directive.ts';
import { A, DS, typeFromName, typeName } from '../dns/rrtype.ts';
import { isInZone } from '../dns/in-zone.ts';
import { EXIT_FINE, type Terminal } from './terminal.ts';
import { readCorefileText } from './corefile-text.ts';
import { FlagError, type Flags } from './flags.ts';

export interface Question {
  readonly name: string | undefined;
  readonly type: string | undefined;
}

/** Prints it and returns the exit code. Throws CorefileError if the Corefile has an error. */
export function explain(
  file: string,
  question: Question,
  flags: Flags,
  terminal: Terminal,
): number {
  const { text, notes } = readCorefileText(file, flags, terminal);
  for (const note of notes) terminal.err(`note: ${note}\n`);
  const { dnsPort: defaultPort } = flags;
  const { source } = terminal;
  const corefile = parseCorefile(text, { file, source, known: DIRECTIVE_NAMES, defaultPort });
  const warn = (message: string): void => terminal.err(`${file}: warning: ${message}\n`);
  const blocks = configure(corefile, { defaultPort, warn });
  const asked = readQuestion(question);
  const lines = asked === undefined ? explainAll(blocks) : explainQuestion(blocks, asked);
  terminal.out(`${lines.join('\n')}\n`);
  return EXIT_FINE;
}

function readQuestion({ name, type }: Question): AskedName | undefined {
  if (name === undefined) return undefined;
  const normalized = normalizeZone(name);
  if (normalized === undefined) throw new FlagError(`${JSON.stringify(name)} is no domain name`);
  const qtype = type === undefined ? A : typeFromName(type.toUpperCase());
  if (qtype === undefined) throw new FlagError(`${JSON.stringify(type)} is no type of records`);
  return { name: normalized, qtype };
}

function explainAll(blocks: readonly ConfiguredBlock[]): string[] {
  return blocks.flatMap((block, i) => [
    ...(i === 0 ? [] : ['']),
    `${titleOf(block)}, at ${block.listeners.map(labelOf).join(', ')}`,
    ...explainBlock(block, undefined),
  ]);
}

/** By block: an address has one that answers, and several may share it. */
function explainQuestion(blocks: readonly ConfiguredBlock[], asked: AskedName): string[] {
  const points = new Map(
    blocks.flatMap(({ listeners }) => listeners).map((at) => [labelOf(at), at]),
  );
  const places = new Map<ConfiguredBlock | undefined, string[]>();
  for (const [label, point] of points) {
    const block = blockFor(blocks, point, asked);
    places.set(block, [...(places.get(block) ?? []), label]);
  }
  const lines = [`${asked.name} ${typeName(asked.qtype)}`];
  for (const [block, labels] of places) {
    lines.push('');
    if (block === undefined) {
      lines.push(`at ${labels.join(', ')}: REFUSED, no block has the name in its zones`);
    } else {
      lines.push(`at ${labels.join(', ')}: ${titleOf(block)}`, ...explainBlock(block, asked));
    }
  }
  return lines;
}

/**
 * The block of the longest zone that holds the name; for DS, which belongs to the parent, of the
 * shortest but the root. As server/zone-table.ts finds it: explain.test.ts holds both together.
 */
export function blockFor(
  blocks: readonly ConfiguredBlock[],
  { scheme, host, port }: ListenPoint,
  { name, qtype }: AskedName,
): ConfiguredBlock | undefined {
  const candidates = blocks
    .filter(({ listeners }) =>
      listeners.some((at) => at.scheme === scheme && at.host === host && at.port === port),
    )
    .flatMap((block) =>
      block.block.keys
        .filter((key) => key.scheme === scheme && key.port === port && isInZone(name, key.zone))
        .map(({ zone }) => ({ block, labels: labelsOf(zone) })),
    )
    .sort((a, b) => a.labels - b.labels);
  const shortest = candidates.find(({ labels }) => labels > 0);
  return (qtype === DS ? (shortest ?? candidates[0]) : candidates.at(-1))?.block;
}

/** Of zones that one name is in, the one with more octets has more labels. */
function labelsOf(zone: string): number {
  return zone === '.' ? 0 : zone.length;
}

function titleOf({ block }: ConfiguredBlock): string {
  const keys = [...new Set(block.keys.map(({ text }) => text))];
  const { file, line } = block.place;
  return `${keys.join(' ')} (${file}:${line})`;
}

const NAME_WIDTH = 12;

function explainBlock(
  { said, contributions }: ConfiguredBlock,
  asked: AskedName | undefined,
): string[] {
  const passed = said.filter(({ directive }) => directive.build !== undefined);
  const besides = said.filter(({ directive }) => directive.build === undefined);
  let seen = asked;
  const lines = passed.flatMap((each) => {
    const explained = explainSaid(each, seen);
    const { directive, configs } = each;
    if (seen !== undefined) seen = directive.asksInstead?.(configs, seen) ?? seen;
    return explained;
  });
  if (passed.length === 0) lines.push('  REFUSED: no directive of the block handles queries');
  if (asked !== undefined) {
    const counter = contributions.last(QUERY_COUNTERS);
    const counted = counter === undefined ? 'not counted' : `counted (${counter})`;
    return [...lines, `  the query is ${counted}`];
  }
  return [...lines, ...besides.flatMap((each) => explainSaid(each, asked))];
}

function explainSaid({ directive, configs, uses }: Said, asked: AskedName | undefined): string[] {
  const explained = directive.explain?.(configs, asked) ?? uses.map(useText);
  const lines = explained.length === 0 ? ['does nothing with this name'] : explained;
  return lines.map((line, i) => {
    const name = i === 0 ? directive.name : '';
    return `  ${name.padEnd(NAME_WIDTH)}${line}`.trimEnd();
  });
}

/** What stands behind the name, in one line. */
function useText({ args, options, hasBlock }: DirectiveUse): string {
  const words = args.map(({ text }) => text);
  const lines = options.map(({ name, args: values }) =>
    [name.text, ...values.map(({ text }) => text)].join(' '),
  );
  return [...words, ...(hasBlock && lines.length > 0 ? [`{ ${lines.join('; ')} }`] : [])].join(' ');
}
