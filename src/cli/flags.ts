/**
 * The command line: node-cache's flags in Go's form (`-flag value`, `-flag=value`, with one dash or
 * two; a switch takes no value, or `=false`), and our own.
 */
import { parseArgs } from 'node:util';
import { nearest } from '../corefile/suggest.ts';
import type { LogFormat } from '../observe/log.ts';

interface FlagDefinition {
  readonly kind: 'text' | 'switch';
  readonly help: string;
  readonly default: string | boolean;
}

/** Every flag, its default, and what it does: `-help` prints this table. */
export const FLAGS: Readonly<Record<string, FlagDefinition>> = {
  conf: { kind: 'text', default: '', help: 'Corefile to serve; "stdin" reads standard input' },
  'dns.port': { kind: 'text', default: '53', help: 'port of server blocks that name none' },
  p: { kind: 'text', default: '', help: 'the same as -dns.port' },
  quiet: { kind: 'switch', default: false, help: 'do not print what is listened on at start' },
  plugins: { kind: 'switch', default: false, help: 'list the directives and exit' },
  version: { kind: 'switch', default: false, help: 'print the version and exit' },
  help: { kind: 'switch', default: false, help: 'print this and exit' },
  'log-format': { kind: 'text', default: 'text', help: 'text (CoreDNS\'s lines) or json' },
  'udp-io': {
    kind: 'text',
    default: 'auto',
    help: 'batch (recvmmsg, Linux), plain (node:dgram) or auto',
  },
};

export interface Flags {
  readonly conf: string;
  readonly dnsPort: number;
  readonly quiet: boolean;
  readonly plugins: boolean;
  readonly version: boolean;
  readonly help: boolean;
  readonly logFormat: LogFormat;
  readonly udpIo: 'auto' | 'batch' | 'plain';
}

/** A command line that cannot be understood: the operator's to mend. */
export class FlagError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'FlagError';
  }
}

/** Reads the arguments after the program's name. Throws FlagError. */
export function parseFlags(argv: readonly string[]): Flags {
  const values = readValues(argv);
  const text = (name: string): string => values.get(name) ?? String(FLAGS[name]!.default);
  const on = (name: string): boolean => readSwitch(name, text(name));
  return {
    conf: text('conf'),
    dnsPort: readPort(values.has('p') ? 'p' : 'dns.port', values.get('p') ?? text('dns.port')),
    quiet: on('quiet'),
    plugins: on('plugins'),
    version: on('version'),
    help: on('help'),
    logFormat: readWord('log-format', text('log-format'), ['text', 'json']),
    udpIo: readWord('udp-io', text('udp-io'), ['auto', 'batch', 'plain']),
  };
}

/** The text of each flag that was given. */
function readValues(argv: readonly string[]): Map<string, string> {
  const options = Object.fromEntries(
    Object.entries(FLAGS).map(([name, { kind }]) => [
      name,
      { type: kind === 'switch' ? ('boolean' as const) : ('string' as const) },
    ]),
  );
  // Go takes one dash or two for the same; parseArgs reads one dash as letters. And `-switch=false`.
  const args = argv.map((arg) => arg.replace(/^-(?=[a-z])/i, '--'));
  const { tokens } = parseArgs({ args, options, strict: false, tokens: true });
  const values = new Map<string, string>();
  for (const token of tokens) {
    if (token.kind !== 'option') {
      if (token.kind === 'option-terminator') continue;
      throw new FlagError(`unexpected argument ${JSON.stringify(token.value)}: flags begin with -`);
    }
    const flag = Object.hasOwn(FLAGS, token.name) ? FLAGS[token.name] : undefined;
    if (flag === undefined) {
      const meant = nearest(token.name, Object.keys(FLAGS));
      const guess = meant === undefined ? 'see -help' : `did you mean -${meant}?`;
      throw new FlagError(`flag provided but not defined: -${token.name}; ${guess}`);
    }
    if (flag.kind === 'text' && token.value === undefined) {
      throw new FlagError(`flag needs an argument: -${token.name}`);
    }
    values.set(token.name, token.value ?? 'true');
  }
  return values;
}

function readSwitch(name: string, text: string): boolean {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  throw new FlagError(`invalid value "${text}" for -${name}: expected true or false`);
}

function readPort(name: string, text: string): number {
  const port = Number(text);
  if (/^\d+$/.test(text) && port <= 0xffff) return port;
  throw new FlagError(`invalid value "${text}" for -${name}: expected a port from 0 to 65535`);
}

function readWord<Word extends string>(name: string, text: string, words: readonly Word[]): Word {
  const word = words.find((candidate) => candidate === text);
  if (word !== undefined) return word;
  throw new FlagError(`invalid value "${text}" for -${name}: expected ${words.join(', ')}`);
}

/** What `-help` prints. */
export function usage(): string {
  const lines = Object.entries(FLAGS).map(([name, flag]) => {
    const shown = flag.kind === 'switch' || flag.default === '' ? '' : ` (default ${flag.default})`;
    return `  -${name}${flag.kind === 'text' ? ' VALUE' : ''}\n        ${flag.help}${shown}`;
  });
  return `Usage: nodelocald [flags]\n${lines.join('\n')}\n`;
}
