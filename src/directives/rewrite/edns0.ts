/**
 * `edns0 local|nsid|subnet ACTION ...`: EDNS options are added to the query, changed or taken out.
 *
 * `revert` has nothing to undo here: a query's options never come back in its answer.
 *
 * Owns:    the syntax of these rules, and the variables that an option may be made of.
 */
import { type CorefileError, quote } from '../../corefile/error.ts';
import { ipFromText } from '../../net/ip.ts';
import type { Token } from '../../corefile/tokens.ts';
import { badValue } from '../../corefile/values.ts';
import {
  type EdnsOption,
  OPTION_CLIENT_SUBNET,
  OPTION_NSID,
  clientSubnet,
} from '../../dns/edns.ts';
import { isMetadataLabel } from '../../query/metadata.ts';
import { UDP } from '../../query/responder.ts';
import type { Draft } from './draft.ts';
import { type Action, type Words, wrongCount } from './rule.ts';

type EdnsAction = 'append' | 'replace' | 'set' | 'unset';
const ACTIONS: readonly EdnsAction[] = ['append', 'replace', 'set', 'unset'];

/** Gives the data of an option for one query; undefined if they are not known, and the rule then rests. */
type Data = (draft: Draft) => Uint8Array | undefined;

export function parseEdns0(words: Words): Action {
  const [typeWord, actionWord, ...rest] = words.args;
  if (typeWord === undefined || actionWord === undefined) {
    throw wrongCount(words, 'too few arguments for an EDNS0 rule');
  }
  const actionText = actionWord.text.toLowerCase();
  const action = ACTIONS.find((known) => known === actionText);
  if (action === undefined) {
    const what = `invalid action: ${quote(actionText)}`;
    throw badValue(actionWord, what, `expected ${ACTIONS.join(', ')}`);
  }
  const type = typeWord.text.toLowerCase();
  const read = TYPES.get(type);
  if (read === undefined) {
    throw badValue(typeWord, `invalid rule type ${quote(type)}`, 'expected local, nsid or subnet');
  }
  const reverts = action !== 'unset' && rest.at(-1)?.text === 'revert';
  return read(words, action, reverts ? rest.slice(0, -1) : rest);
}

const TYPES: ReadonlyMap<string, (words: Words, action: EdnsAction, rest: Token[]) => Action> =
  new Map([
    ['local', parseLocal],
    ['nsid', parseNsid],
    ['subnet', parseSubnet],
  ]);

/** `local ACTION CODE DATA|{VARIABLE}`, `local unset CODE` */
function parseLocal(words: Words, action: EdnsAction, rest: readonly Token[]): Action {
  const [codeWord, dataWord] = rest;
  if (action === 'unset') {
    if (codeWord === undefined || rest.length > 1) {
      throw wrongCount(words, 'local unset action requires exactly two arguments');
    }
    return unsetting(parseUnsigned16(codeWord));
  }
  if (codeWord === undefined || dataWord === undefined || rest.length > 2) {
    throw wrongCount(words, 'EDNS0 local rules require three or four args');
  }
  const code = parseUnsigned16(codeWord);
  const variable = /^\{(.*)\}$/s.exec(dataWord.text)?.[1];
  if (variable === undefined) {
    const data = parseData(dataWord);
    return acting(action, code, () => data, true);
  }
  return acting(action, code, parseVariable(dataWord, variable), false);
}

function parseNsid(words: Words, action: EdnsAction, rest: readonly Token[]): Action {
  if (action === 'unset') {
    if (rest.length > 0) throw wrongCount(words, 'nsid unset action requires exactly one argument');
    return unsetting(OPTION_NSID);
  }
  if (rest.length > 0) throw wrongCount(words, 'EDNS0 NSID rules can accept no more than one arg');
  const empty = new Uint8Array(0); // a query asks for the identifier and has none (RFC 5001)
  return acting(action, OPTION_NSID, () => empty, true);
}

/** `subnet ACTION V4LEN V6LEN`, `subnet unset` */
function parseSubnet(words: Words, action: EdnsAction, rest: readonly Token[]): Action {
  if (action === 'unset') {
    if (rest.length > 0) {
      throw wrongCount(words, 'subnet unset action requires exactly one argument');
    }
    return unsetting(OPTION_CLIENT_SUBNET);
  }
  const [v4Word, v6Word] = rest;
  if (v4Word === undefined || v6Word === undefined || rest.length > 2) {
    throw wrongCount(words, 'EDNS0 subnet rules require three or four args');
  }
  const v4Bits = parseMaskLength(v4Word, 'IPv4', 32);
  const v6Bits = parseMaskLength(v6Word, 'IPv6', 128);
  const data: Data = ({ query }) => {
    const address = addressOf(query.client?.remoteAddress);
    return address && clientSubnet(address, address.length === 4 ? v4Bits : v6Bits);
  };
  return acting(action, OPTION_CLIENT_SUBNET, data, false);
}

/** `repeats`: whether `append` adds the option beside one that is there, or then does nothing. */
function acting(
  action: Exclude<EdnsAction, 'unset'>,
  code: number,
  data: Data,
  repeats: boolean,
): Action {
  return {
    onlyName: undefined,
    apply: (draft) => {
      const { options } = draft;
      const octets = data(draft);
      if (octets === undefined) return false;
      const at = options.findIndex((option) => option.code === code);
      const wanted: EdnsOption = { code, data: octets };
      if (at !== -1 && action !== 'append') {
        draft.setOptions(options.with(at, wanted));
        return true;
      }
      if (action === 'replace' || (at !== -1 && !repeats)) return false;
      draft.setOptions([...options, wanted]);
      return true;
    },
  };
}

/** Matches every query, also one that has nothing to take out. */
function unsetting(code: number): Action {
  return {
    onlyName: undefined,
    apply: (draft) => {
      const left = draft.options.filter((option) => option.code !== code);
      if (left.length < draft.options.length) draft.setOptions(left);
      return true;
    },
  };
}

function parseMaskLength(token: Token, family: string, max: number): number {
  const bits = parseUnsigned16(token);
  if (bits <= max) return bits;
  throw badValue(token, `invalid ${family} bit mask length ${bits}`, `expected 0 to ${max}`);
}

/** `0x` and hexadecimal digits, or text. */
function parseData(token: Token): Uint8Array {
  if (!token.text.startsWith('0x')) return Uint8Array.from(Buffer.from(token.text));
  const digits = token.text.slice(2);
  const wrong = /[^0-9a-fA-F]/u.exec(digits)?.[0];
  if (wrong !== undefined) {
    const code = wrong.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0');
    throw badValue(token, `encoding/hex: invalid byte: U+${code} '${wrong}'`);
  }
  if (digits.length % 2 !== 0) throw badValue(token, 'encoding/hex: odd length hex string');
  return Uint8Array.from(Buffer.from(digits, 'hex'));
}

/** Reads as Go's ParseUint with base 0: decimal, or with `0x`, `0o`, `0b`, or `0` for octal. */
function parseUnsigned16(token: Token): number {
  const { text } = token;
  const plain = text.replaceAll(/(?<=[\da-f])_(?=[\da-f])|(?<=^0[xob]?)_/gi, '');
  const form = /^(?:0x[\da-f]+|0o?[0-7]+|0b[01]+|[1-9]\d*|0)$/i;
  const failed = (reason: string): CorefileError =>
    badValue(token, `strconv.ParseUint: parsing ${quote(text)}: ${reason}`, 'expected 0 to 65535');
  if (!form.test(plain)) throw failed('invalid syntax');
  const octal = /^0\d/.test(plain);
  const value = Number(octal ? `0o${plain.slice(1)}` : plain);
  if (value > 0xffff) throw failed('value out of range');
  return value;
}

const VARIABLES: Readonly<Record<string, Data>> = {
  qname: (draft) => octetsOf(draft.spelledName),
  qtype: (draft) => u16(draft.qtype),
  client_ip: ({ query }) => addressOf(query.client?.remoteAddress),
  server_ip: ({ query }) => addressOf(query.client?.localAddress),
  client_port: ({ query }) => query.client && u16(query.client.remotePort),
  server_port: ({ query }) => query.client && u16(query.client.localPort),
  protocol: ({ query }) => query.client && octetsOf(query.client.transport === UDP ? 'udp' : 'tcp'),
};

function parseVariable(token: Token, name: string): Data {
  const known = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
  if (known !== undefined) return known;
  if (isMetadataLabel(name)) {
    return ({ query }) => {
      const value = query.metadata?.get(name);
      return value === undefined || value === '' ? undefined : octetsOf(value);
    };
  }
  const names = Object.keys(VARIABLES).map((variable) => `{${variable}}`);
  const what = `unsupported variable name ${quote(token.text)}`;
  throw badValue(token, what, `expected ${names.join(', ')}, or a label of metadata`);
}

/** 4 octets, or 16. */
function addressOf(text: string | undefined): Uint8Array | undefined {
  return text === undefined ? undefined : ipFromText(text)?.octets;
}

function octetsOf(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text));
}

function u16(value: number): Uint8Array {
  return Uint8Array.of(value >> 8, value & 0xff);
}
