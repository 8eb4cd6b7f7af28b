import { describe, expect, test } from 'vitest';
import { type Corefile, parseCorefile } from './blocks.ts';
import { CorefileError } from './error.ts';
import type { Source } from './source.ts';

const KNOWN: ReadonlySet<string> = new Set(
  (
    'metadata timeouts reload bufsize bind debug trace ready health pprof prometheus errors log ' +
    'dns64 loadbalance cache rewrite template hosts loop forward whoami'
  ).split(' '),
);

/** A machine with these variables and without files. */
function sourceOf(env: Readonly<Record<string, string>> = {}): Source {
  return {
    readFile: () => {
      throw new Error('no such file');
    },
    list: () => [],
    kindOf: () => undefined,
    env: (name) => env[name],
  };
}

function parse(text: string, env: Readonly<Record<string, string>> = {}): Corefile {
  return parseCorefile(text, {
    file: '/etc/coredns/Corefile',
    source: sourceOf(env),
    known: KNOWN,
  });
}

function errorOf(text: string): CorefileError {
  try {
    parse(text);
  } catch (error) {
    if (error instanceof CorefileError) return error;
    throw error;
  }
  throw new Error(`this parsed: ${text}`);
}

/** The whole structure as short text: `scheme zone:port` keys, and directives with their lines. */
function outline(corefile: Corefile): unknown {
  return corefile.blocks.map((block) => ({
    keys: block.keys.map(({ scheme, zone, port }) =>
      scheme === 'dns' ? `${zone}:${port}` : `${scheme} ${zone}:${port}`,
    ),
    uses: block.uses.map((use) => {
      const head = [use.name, ...use.args.map((arg) => arg.text)].join(' ');
      const lines = use.options.map(({ name, args }) =>
        [name.text, ...args.map((arg) => arg.text)].join(' '),
      );
      return use.hasBlock ? `${head} { ${lines.join('; ')} }` : head;
    }),
  }));
}

describe('the Corefile of the NodeLocal DNSCache add-on', () => {
  const ADDON = `cluster.local:53 {
    errors
    cache {
            success 9984 30
            denial 9984 5
    }
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.0.11 {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8080
    }
in-addr.arpa:53 {
    errors
    cache 30
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.0.11 {
            force_tcp
    }
    prometheus :9253
    }
ip6.arpa:53 {
    errors
    cache 30
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . 10.96.0.11 {
            force_tcp
    }
    prometheus :9253
    }
.:53 {
    errors
    cache 30
    reload
    loop
    bind 169.254.20.10 10.96.0.10
    forward . /etc/resolv.conf
    prometheus :9253
    }
`;

  test('has four blocks, each with its directives in the order of the file', () => {
    const parsed = parse(ADDON);
    const reverse = [
      'errors',
      'cache 30',
      'reload',
      'loop',
      'bind 169.254.20.10 10.96.0.10',
      'forward . 10.96.0.11 { force_tcp }',
      'prometheus :9253',
    ];
    expect(outline(parsed)).toEqual([
      {
        keys: ['cluster.local.:53'],
        uses: [
          'errors',
          'cache { success 9984 30; denial 9984 5 }',
          'reload',
          'loop',
          'bind 169.254.20.10 10.96.0.10',
          'forward . 10.96.0.11 { force_tcp }',
          'prometheus :9253',
          'health 169.254.20.10:8080',
        ],
      },
      { keys: ['in-addr.arpa.:53'], uses: reverse },
      { keys: ['ip6.arpa.:53'], uses: reverse },
      {
        keys: ['.:53'],
        uses: reverse.with(5, 'forward . /etc/resolv.conf'),
      },
    ]);
    expect(parsed.warnings).toEqual([]);
    expect(parsed.files).toEqual(['/etc/coredns/Corefile']);
  });

  test('says where each directive and option stands', () => {
    const uses = parse(ADDON).blocks[0]!.uses;
    const cache = uses[1]!;
    const denial = cache.options[1]!;
    expect(cache.place).toMatchObject({ file: '/etc/coredns/Corefile', line: 3, column: 5 });
    expect(denial.name).toMatchObject({ line: 5, column: 13, length: 6 });
    expect(denial.args[1]).toMatchObject({ text: '5', line: 5, column: 25 });
  });

  test('is the same with CRLF line ends, but for nothing', () => {
    expect(outline(parse(ADDON.replaceAll('\n', '\r\n')))).toEqual(outline(parse(ADDON)));
  });
});

describe('what is refused, with its place', () => {
  test.each([
    ['.:53 {\n  foo\n}', 2, 3, "Unknown directive 'foo'"],
    ['.:53 {\n  errors\n', 2, 3, "Unexpected token 'errors', expecting '}'"],
  ])('%j', (text, line, column, what) => {
    const error = errorOf(text);
    expect(error.place).toMatchObject({ line, column });
    expect(error.what).toContain(what);
  });
});
