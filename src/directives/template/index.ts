/**
 * `template CLASS TYPE [ZONES...] { ... }`: answers made of the question, by Go templates.
 *
 * Owns:    the syntax; templates and expressions are compiled here, so that faults in them are reported
 *          with their place.
 * Is not:  the engine (gotemplate/), its data (data.ts), nor what is done to a query (handler.ts).
 */
import type { DirectiveUse, OptionLine } from '../../corefile/blocks.ts';
import { CorefileError } from '../../corefile/error.ts';
import { parseGoRegexp } from '../../corefile/go-regexp.ts';
import { zonesFromArguments } from '../../corefile/keys.ts';
import {
  type OptionTable,
  any,
  countArguments,
  one,
  oneOrMore,
  readOptions,
  readUse,
  unknownOption,
} from '../../corefile/options.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue, parseUnsigned } from '../../corefile/values.ts';
import { rcodeFromName, rcodeName } from '../../dns/rcode.ts';
import { classFromName, typeFromName } from '../../dns/rrtype.ts';
import { Template } from '../../gotemplate/template.ts';
import { TemplateError } from '../../gotemplate/error.ts';
import type { Directive, ParseContext } from '../directive.ts';
import { FUNCTIONS, faultOfPath } from './data.ts';
import { type Section, type TemplateConfig, Templates } from './handler.ts';

export const template: Directive<TemplateConfig> = {
  name: 'template',
  repeat: 'accumulate',
  parse: (use, context) => readUse(use, () => parse(use, context)),
  build: (configs, context) => new Templates(configs, context),
};

/** The header's four bits: an extended RCODE needs an OPT, which the client may not have sent. */
const RCODE_MAX = 15;
/** More than any reason needs, and little enough for a datagram. */
const REASON_OCTETS_MAX = 255;

type Draft = { -readonly [Key in keyof TemplateConfig]: TemplateConfig[Key] } & {
  readonly patterns: TemplateConfig['patterns'][number][];
  readonly answer: Template[];
  readonly additional: Template[];
  readonly authority: Template[];
  readonly context: ParseContext;
};

const OPTIONS: OptionTable<Draft> = {
  match: oneOrMore((draft, first, rest) => {
    for (const token of [first, ...rest]) {
      const what = (reason: string): string => `could not parse regex: ${token.text}, ${reason}`;
      draft.patterns.push(parseGoRegexp(token, { what }));
    }
  }),
  answer: oneOrMore((draft, first, rest) => compile(draft, 'answer', [first, ...rest])),
  additional: oneOrMore((draft, first, rest) => compile(draft, 'additional', [first, ...rest])),
  authority: oneOrMore((draft, first, rest) => compile(draft, 'authority', [first, ...rest])),
  rcode: one((draft, value) => {
    draft.rcode = parseRcode(value);
  }),
  ederror: oneOrMore((draft, code, [reason]) => {
    draft.extendedError = { code: parseErrorCode(code), text: parseReason(reason) };
  }, 2),
  fallthrough: any((draft, args) => {
    draft.fallthrough = zonesFromArguments(args, ['.']);
  }),
  // From before CoreDNS 1.2: CNAMEs are followed in any case.
  upstream: any(() => undefined),
};

/** Options of CoreDNS 1.14 that we lack. */
const FROM_1_14: ReadonlySet<string> = new Set(['expr', 'var']);

function parse(use: DirectiveUse, context: ParseContext): TemplateConfig {
  const [rrClass, type, ...zones] = countArguments(use, 2);
  const { context: _, ...config } = readOptions<Draft>(
    use,
    OPTIONS,
    {
      qclass: parseClass(rrClass!),
      qtype: parseType(type!),
      zones: zonesFromArguments(zones, context.zones),
      patterns: [],
      answer: [],
      additional: [],
      authority: [],
      rcode: 0,
      extendedError: undefined,
      fallthrough: [],
      context,
    },
    {
      otherwise: (_draft, line) => {
        throw unknown(use, line);
      },
    },
  );
  return config;
}

function unknown(use: DirectiveUse, { name }: OptionLine): CorefileError {
  if (!FROM_1_14.has(name.text)) return unknownOption(use, name, Object.keys(OPTIONS));
  const what = `"${name.text}" of CoreDNS 1.14 is not supported`;
  const hint = 'put the condition into match, or into {{ if }} of the answer';
  return new CorefileError('COREFILE_UNKNOWN_OPTION', name, what, { hint });
}

function parseClass(token: Token): number {
  const qclass = classFromName(token.text);
  if (qclass !== undefined) return qclass;
  throw badValue(
    token,
    `invalid query class ${token.text}`,
    'expected IN, CH or ANY, in upper case',
  );
}

function parseType(token: Token): number {
  const qtype = typeFromName(token.text);
  if (qtype !== undefined) return qtype;
  const hint = 'expected a type such as AAAA, or ANY, in upper case';
  throw badValue(token, `invalid RR class ${token.text}`, hint);
}

function parseRcode(token: Token): number {
  const { text } = token;
  const rcode = text === 'NOTIMPL' ? rcodeFromName('NOTIMP') : rcodeFromName(text);
  if (rcode === undefined || text !== text.toUpperCase()) {
    const meant = rcode === undefined ? 'such as NXDOMAIN' : rcodeName(rcode);
    throw badValue(token, `unknown rcode ${text}`, `expected a name in upper case, ${meant}`);
  }
  if (rcode > RCODE_MAX) {
    throw badValue(token, `${text} is an extended rcode`, `expected one up to ${RCODE_MAX}`);
  }
  return rcode;
}

function parseErrorCode(token: Token): number {
  try {
    return parseUnsigned(token, { max: 0xffff });
  } catch (cause) {
    const reason = cause instanceof CorefileError ? cause.what : String(cause);
    const what = `error parsing extended DNS error code ${token.text}, ${reason}`;
    throw badValue(token, what, 'expected a number from 0 to 65535; RFC 8914 lists them');
  }
}

function parseReason(token: Token | undefined): string {
  if (token === undefined) return '';
  const octets = Buffer.byteLength(token.text);
  if (octets <= REASON_OCTETS_MAX) return token.text;
  throw badValue(token, `reason of ${octets} bytes is too long`, `at most ${REASON_OCTETS_MAX}`);
}

function compile(draft: Draft, section: Section, tokens: readonly Token[]): void {
  for (const token of tokens) {
    let compiled: Template;
    try {
      compiled = new Template(section, token.text, FUNCTIONS);
    } catch (error) {
      if (!(error instanceof TemplateError)) throw error;
      const what = `could not compile template: ${token.text}, ${error.message}`;
      throw badValue(token, what, 'the language: docs/directives/template.md');
    }
    checkFields(draft.context, compiled, token);
    draft[section].push(compiled);
  }
}

/** Warns of fields that would cost each query a SERVFAIL, and refuses those that only CoreDNS has. */
function checkFields(context: ParseContext, { fields }: Template, token: Token): void {
  for (const path of fields) {
    const fault = faultOfPath(path);
    const name = `.${path.join('.')}`;
    if (fault === 'unsupported') {
      throw badValue(token, `${name} is not supported`, 'fields: docs/directives/template.md');
    }
    if (fault === 'unknown') {
      context.warn(
        `plugin/template: ${token.file}:${token.line}: there is no field .${path[0]!}: what reads it ` +
          'is answered SERVFAIL',
      );
    }
  }
}
