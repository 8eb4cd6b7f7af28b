import { describe, expect, test } from 'vitest';
import { type DirectiveUse, parseUse } from './blocks.ts';
import { CorefileError } from './error.ts';
import {
  any,
  countArguments,
  flag,
  noArguments,
  noBlock,
  once,
  one,
  oneOrMore,
  onlyOnce,
  option,
  type OptionTable,
  readOptions,
  readUse,
} from './options.ts';
import { parseDuration, parseUnsigned } from './values.ts';

interface Config {
  forceTcp: boolean;
  expireMs: number;
  maxFails: number;
  except: string[];
  tls: number;
  lines: string[];
}

const OPTIONS: OptionTable<Config> = {
  force_tcp: flag((config) => {
    config.forceTcp = true;
  }),
  expire: one((config, value) => {
    config.expireMs = parseDuration(value, { min: 0 });
  }),
  max_fails: once(
    one((config, value) => {
      config.maxFails = parseUnsigned(value);
    }),
  ),
  except: oneOrMore((config, first, rest) => {
    config.except.push(first.text, ...rest.map((token) => token.text));
  }),
  tls: any((config, args) => {
    config.tls = args.length;
  }, 3),
  pair: option(2, 2, (config, args) => {
    config.lines.push(args.map((token) => token.text).join('+'));
  }),
};

function read(use: DirectiveUse): Config {
  const config = { forceTcp: false, expireMs: 10_000, maxFails: 2, except: [], tls: 0, lines: [] };
  return readOptions(use, OPTIONS, config);
}

describe('the options of a directive are a table', () => {
  test('each line is read into the configuration, and a later one overrides', () => {
    const text = `forward . up {
  force_tcp
  expire 5s
  expire 20s
  except a b
  except c
  tls x y z
  pair 1 2
}`;
    expect(read(parseUse(text))).toEqual({
      forceTcp: true,
      expireMs: 20_000,
      maxFails: 2,
      except: ['a', 'b', 'c'],
      tls: 3,
      lines: ['1+2'],
    });
  });

  test.each([
    {
      line: 'max_fail 3',
      says: 'Corefile:2:2: forward: "max_fail" is not an option (unknown property \'max_fail\'); did you mean "max_fails"? Options of forward: docs/directives/forward.md',
    },
    {
      line: 'toString',
      says: 'Corefile:2:2: forward: "toString" is not an option (unknown property \'toString\'); Options of forward: docs/directives/forward.md',
    },
    {
      line: 'force_tcp yes',
      says: "Corefile:2:12: forward: force_tcp: Wrong argument count or unexpected line ending after 'yes': force_tcp takes no arguments, not 1",
    },
    {
      line: 'force_tcp expire 5s',
      says: 'each option stands on a line of its own',
    },
    {
      line: 'expire',
      says: "Corefile:2:2: forward: expire: Wrong argument count or unexpected line ending after 'expire': expire takes 1 argument, not 0",
    },
    { line: 'except', says: 'except takes at least 1 argument, not 0' },
    { line: 'tls a b c d', says: "after 'd': tls takes at most 3 arguments, not 4" },
    { line: 'pair a', says: "after 'a': pair takes 2 arguments, not 1" },
    {
      line: 'expire 5',
      says: 'Corefile:2:9: forward: expire: time: missing unit in duration "5"; expected a duration such as 5s',
    },
    {
      line: 'max_fails 1\n max_fails 2',
      says: 'Corefile:3:2: forward: max_fails: given a second time; it can only be used once in a block',
    },
  ])('the option $line is refused: $says', ({ line, says }) => {
    const use = parseUse(`forward . up {\n ${line}\n}`);
    expect(() => read(use)).toThrow(CorefileError);
    expect(() => read(use)).toThrow(says);
  });

  test('an error does not hide errors in the lines below', () => {
    const use = parseUse('forward . up {\n expire 5\n force_tcp\n max_fail 3\n tls a b c d\n}');
    const reported: string[] = [];
    try {
      read(use);
    } catch (error) {
      const { what, others } = (error as CorefileError).about('forward');
      reported.push(what, ...others.map((other) => other.message));
    }
    expect(reported.map((text) => text.slice(0, 40))).toEqual([
      'time: missing unit in duration "5"',
      'Corefile:4:2: forward: "max_fail" is not',
      'Corefile:5:12: forward: tls: Wrong argum',
    ]);
  });

  test('a directive may read lines that are no options itself', () => {
    const use = parseUse('hosts {\n 192.0.2.1 a b\n ttl 60\n 2001:db8::1 c\n}');
    const lines: string[] = [];
    let ttl = 0;
    const table: OptionTable<null> = {
      ttl: one((_, value) => {
        ttl = parseUnsigned(value);
      }),
    };
    readOptions(use, table, null, {
      otherwise: (_, { name, args }) => lines.push([name, ...args].map((t) => t.text).join(' ')),
    });
    expect({ ttl, lines }).toEqual({ ttl: 60, lines: ['192.0.2.1 a b', '2001:db8::1 c'] });
  });
});

describe('the arguments of a directive', () => {
  test('countArguments returns the arguments if their number is right', () => {
    const [from, ...to] = countArguments(parseUse('forward . a b'), 2);
    expect([from?.text, to.map((token) => token.text)]).toEqual(['.', ['a', 'b']]);
  });

  test.each([
    {
      text: 'forward .',
      min: 2,
      max: Infinity,
      says: "forward: Wrong argument count or unexpected line ending after '.': forward takes at least 2 arguments, not 1",
    },
    {
      text: 'loop x',
      min: 0,
      max: 0,
      says: "Corefile:1:6: loop: Wrong argument count or unexpected line ending after 'x': loop takes no arguments, not 1",
    },
    {
      text: 'reload 1 2 3',
      min: 0,
      max: 2,
      says: "after '3': reload takes at most 2 arguments, not 3",
    },
    {
      text: 'template',
      min: 2,
      max: 3,
      says: "Corefile:1:1: template: Wrong argument count or unexpected line ending after 'template': template takes 2 to 3 arguments, not 0",
    },
  ])('the arguments of $text are refused: $says', ({ text, min, max, says }) => {
    expect(() => countArguments(parseUse(text), min, max)).toThrow(says);
  });

  test('a directive may refuse arguments and blocks', () => {
    expect(() => noArguments(parseUse('loop'))).not.toThrow();
    expect(() => noBlock(parseUse('loop'))).not.toThrow();
    expect(() => noBlock(parseUse('loop {\n}'))).toThrow('Corefile:1:1: loop: ');
    expect(() => noBlock(parseUse('loop {\n x\n}'))).toThrow('Corefile:2:2: loop: ');
  });

  test('the error of a value among the arguments names the directive', () => {
    const use = parseUse('reload 5');
    const readInterval = () => readUse(use, () => parseDuration(use.args[0]!));
    expect(readInterval).toThrow('Corefile:1:8: reload: time: missing unit in duration "5"');
  });

  test('onlyOnce refuses the second use of a directive', () => {
    const uses = [parseUse('cache 30'), parseUse('\ncache 60')];
    expect(() => onlyOnce(uses.slice(0, 1))).not.toThrow();
    expect(() => onlyOnce(uses)).toThrow(
      'Corefile:2:1: cache: this plugin can only be used once per Server Block; it stands in line 1 already',
    );
  });
});
