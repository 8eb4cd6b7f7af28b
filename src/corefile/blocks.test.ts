import { describe, expect, test } from 'vitest';
import { type Corefile, parseCorefile, parseUse } from './blocks.ts';
import { CorefileError } from './error.ts';
import { FOREIGN_DIRECTIVES } from './foreign.ts';
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
function outline(corefile: Corefile): { keys: string[]; uses: string[] }[] {
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

  test('the Corefile of the add-on has four blocks, their directives in the order of the file', () => {
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

  test('each directive and option has its line and column', () => {
    const uses = parse(ADDON).blocks[0]!.uses;
    const cache = uses[1]!;
    const denial = cache.options[1]!;
    expect(cache.place).toMatchObject({ file: '/etc/coredns/Corefile', line: 3, column: 5 });
    expect(denial.name).toMatchObject({ line: 5, column: 13, length: 6 });
    expect(denial.args[1]).toMatchObject({ text: '5', line: 5, column: 25 });
  });

  test('a Corefile with CRLF line ends reads as the same blocks', () => {
    expect(outline(parse(ADDON.replaceAll('\n', '\r\n')))).toEqual(outline(parse(ADDON)));
  });
});

/** Each block as `keys: use; use`. */
function short(text: string, env: Readonly<Record<string, string>> = {}): string[] {
  return outline(parse(text, env)).map(({ keys, uses }) => `${keys.join(' ')}: ${uses.join('; ')}`);
}

describe('server blocks', () => {
  test.each([
    { text: '', blocks: [], because: 'a file may be empty' },
    { text: '# nothing\n', blocks: [], because: 'a file may hold only a comment' },
    { text: '.', blocks: ['.:53: '], because: 'a block may consist of its key' },
    { text: '.:53 {\n}', blocks: ['.:53: '], because: 'a block may be empty' },
    { text: '.:53 { }', blocks: ['.:53: '], because: 'an empty block may be on one line' },
    {
      text: '.:53 {\n whoami\n}',
      blocks: ['.:53: whoami'],
      because: 'a block commonly opens at the end of the line of its key',
    },
    {
      text: '.:53\n{\n whoami\n}',
      blocks: ['.:53: whoami'],
      because: 'the brace of a block may have its own line',
    },
    {
      text: '.:53 { whoami\n}',
      blocks: ['.:53: whoami'],
      because: 'a directive may follow the brace on its line',
    },
    {
      text: '.:53\nwhoami\nlog\n',
      blocks: ['.:53: whoami; log'],
      because: 'the only block needs no braces',
    },
    {
      text: 'a.test b.test:54 {\n}',
      blocks: ['a.test.:53 b.test.:54: '],
      because: 'a block may have several keys',
    },
    {
      text: 'a.test, b.test {\n}',
      blocks: ['a.test.:53 b.test.:53: '],
      because: 'keys may be separated by commas',
    },
    {
      text: 'a.test,\nb.test,\nc.test\n{\n}',
      blocks: ['a.test.:53 b.test.:53 c.test.:53: '],
      because: 'a comma continues the keys on the next line',
    },
    {
      text: 'a.test , b.test {\n}',
      blocks: ['a.test.:53 b.test.:53: '],
      because: 'a comma may be a word of its own',
    },
    { text: '"" a.test {\n}', blocks: ['a.test.:53: '], because: 'an empty key is ignored' },
    {
      text: 'a.test,\nb.test\nlog',
      blocks: ['a.test.:53 b.test.:53: log'],
      because: 'a comma continues the keys of a block without braces',
    },
    {
      text: 'a.test {\n}\nb.test {\n}',
      blocks: ['a.test.:53: ', 'b.test.:53: '],
      because: 'blocks follow each other',
    },
    {
      text: 'a.test {\n} b.test {\n}',
      blocks: ['a.test.:53: ', 'b.test.:53: '],
      because: 'a block may begin on the line where the last one ends',
    },
    {
      text: '10.0.2.0/23:5 {\n}',
      blocks: ['2.0.10.in-addr.arpa.:5 3.0.10.in-addr.arpa.:5: '],
      because: 'a CIDR stands for its reverse zones',
    },
    { text: 'tls://A.test {\n}', blocks: ['tls a.test.:853: '], because: 'a key keeps its scheme' },
    {
      text: '"a.test" {\n "whoami"\n}',
      blocks: ['a.test.:53: whoami'],
      because: 'a quoted key or directive is the same as an unquoted one',
    },
  ])('$because', ({ text, blocks }) => {
    expect(short(text)).toEqual(blocks);
  });

  test('a key without port has the default port, if its scheme is dns', () => {
    const options = { file: 'Corefile', source: sourceOf(), known: KNOWN, defaultPort: 1053 };
    const { blocks } = parseCorefile('a.test b.test:53 tls://c.test', options);
    expect(blocks[0]!.keys.map(({ port }) => port)).toEqual([1053, 53, 853]);
  });

  test('a key keeps its text and place', () => {
    const { blocks } = parse('a.test,\n {$Z}:54 {\n}', { Z: 'B.test' });
    expect(blocks[0]!.keys).toMatchObject([
      { text: 'a.test', place: { line: 1, column: 1, length: 7 } },
      { text: 'B.test:54', zone: 'b.test.', place: { line: 2, column: 2 } },
    ]);
    expect(blocks[0]!.place).toMatchObject({ line: 1, column: 1 });
  });

  test('a zone of unusual characters gives a warning', () => {
    const { blocks, warnings } = parse('a_b.test {\n}\n_x.10.in-addr.arpa {\n}');
    expect(blocks).toHaveLength(2);
    expect(warnings).toMatchObject([
      {
        message: 'Domain "a_b.test." does not follow RFC1035 preferred syntax',
        place: { line: 1, column: 1 },
      },
    ]);
  });
});

describe('directives', () => {
  test.each([
    {
      text: 'cache 30 {\n}',
      uses: 'cache 30 {  }',
      because: 'the block of a directive may be empty',
    },
    {
      text: 'cache 30 { }',
      uses: 'cache 30 {  }',
      because: 'the empty block of a directive may be on one line',
    },
    {
      text: 'cache {\n success 1 2\n denial 3\n}',
      uses: 'cache { success 1 2; denial 3 }',
      because: 'each line in the block of a directive is an option',
    },
    {
      text: 'cache { success 1\n denial 3\n}',
      uses: 'cache { success 1; denial 3 }',
      because: 'an option may follow the brace on its line',
    },
    {
      text: 'log . "{combined} x" {\n class all\n}',
      uses: 'log . {combined} x { class all }',
      because: 'quotes make one argument of several words',
    },
    { text: 'forward . X {}', uses: 'forward . X {}', because: 'two braces that touch are a word' },
    {
      text: 'template IN A {\n answer "{{ .Name }}\n60 IN A 1.2.3.4" x\n match {{ a }}\n}',
      uses: 'template IN A { answer {{ .Name }}\n60 IN A 1.2.3.4 x; match {{ a }} }',
      because: 'an argument may hold line ends',
    },
    { text: 'log "{"\nlog "}"', uses: 'log {; log }', because: 'a quoted brace is text' },
    {
      text: '{$NAME} x',
      uses: 'errors x',
      because: 'the name of a directive may come from a variable',
    },
  ])('$because', ({ text, uses }) => {
    expect(short(`. {\n${text}\n}`, { NAME: 'errors' })).toEqual([`.:53: ${uses}`]);
  });

  test('parseUse reads one directive without a block around it', () => {
    const use = parseUse('forward . a {\n force_tcp\n}', 'x');
    expect(use).toMatchObject({ name: 'forward', hasBlock: true, place: { file: 'x', line: 1 } });
    expect(use.options[0]?.name.text).toBe('force_tcp');
    expect(() => parseUse('')).toThrow('without a directive');
    expect(() => parseUse('a\nb')).toThrow('more than one: b');
  });
});

describe('an error in a Corefile has its place and its code', () => {
  test.each([
    ['.:53 {\n  foo\n}', 'COREFILE_UNKNOWN_DIRECTIVE', "2:3: Unknown directive 'foo'"],
    [
      '.:53 {\n  forwad . x\n}',
      'COREFILE_UNKNOWN_DIRECTIVE',
      `2:3: Unknown directive 'forwad'; did you mean "forward"?`,
    ],
    [
      '.:53 {\n  WHOAMI\n}',
      'COREFILE_UNKNOWN_DIRECTIVE',
      `2:3: Unknown directive 'WHOAMI'; did you mean "whoami"?`,
    ],
    [
      'a:1\nb.test:2\n',
      'COREFILE_UNKNOWN_DIRECTIVE',
      `2:1: Unknown directive 'b.test:2'; if it is another key, put a comma after the one before, or braces around each block`,
    ],
    [
      'a.test:53 {\n errors\nb.test:53 {\n}\n',
      'COREFILE_UNKNOWN_DIRECTIVE',
      `3:1: Unknown directive 'b.test:53'; if it is the key of a new block, the "}" of the block of a.test:53 is missing above`,
    ],
    [
      '. {\n kubernetes cluster.local\n}',
      'COREFILE_FOREIGN_DIRECTIVE',
      "2:2: no action found for directive 'kubernetes': it is a CoreDNS directive that a node-local cache does not have",
    ],
    [
      '.:53{\n whoami\n}',
      'COREFILE_KEY',
      '1:1: zone is not a valid domain name: .:53{; put white space before "{"',
    ],
    [
      '{\n whoami\n}',
      'COREFILE_KEY',
      '1:1: a server block without a zone; for all names write ". {"',
    ],
    ['""', 'COREFILE_KEY', '1:1: a server block without a zone'],
    ['{$NONE} {\n}', 'COREFILE_KEY', '1:1: zone is not a valid domain name: ;'],
    [
      ':53 {\n}',
      'COREFILE_KEY',
      '1:1: zone is not a valid domain name: ; for all names write ".:53"',
    ],
    ['. a..b {\n}', 'COREFILE_KEY', '1:3: zone is not a valid domain name: a..b'],
    ['. {\n}\na.test:x: {\n}', 'COREFILE_KEY', '3:1: expecting data after last colon: "a.test:x:"'],
    ['a.test:65536 {\n}', 'COREFILE_KEY', '1:1: address 65536: invalid port'],
    [
      'a.test, {\n}',
      'COREFILE_SYNTAX',
      `1:1: Expected another address but had '{' - check for extra comma`,
    ],
    ['a.test,', 'COREFILE_SYNTAX', '1:1: Unexpected EOF; another key must follow the comma'],
    [
      '.:53 { whoami }',
      'COREFILE_SYNTAX',
      "1:15: Unexpected '}' because no matching opening brace",
    ],
    [
      '. {\n forward . a { force_tcp }\n}',
      'COREFILE_SYNTAX',
      "2:26: Wrong argument count or unexpected line ending after '}'",
    ],
    [
      '. {\n forward . a\n {\n }\n}',
      'COREFILE_SYNTAX',
      "3:2: Unexpected token '{', expecting argument",
    ],
    [
      '. {\n cache {\n  a {\n  }\n }\n}',
      'COREFILE_SYNTAX',
      "3:5: Unexpected token '{' inside the block of cache (unknown property '{')",
    ],
    [
      '. {\n cache {\n  {\n  }\n }\n}',
      'COREFILE_SYNTAX',
      "3:3: Unexpected token '{' inside the block of cache",
    ],
    ['. {\n cache {\n } log\n}', 'COREFILE_SYNTAX', "3:4: Unexpected token 'log' after '}'"],
    [
      '. {\n cache {\n } }',
      'COREFILE_SYNTAX',
      "3:4: Unexpected '}' because no matching opening brace",
    ],
    ['. {\n}\n}', 'COREFILE_SYNTAX', "3:1: Unexpected '}' because no matching opening brace"],
    ['.\nwhoami\n}', 'COREFILE_SYNTAX', "3:1: Unexpected '}' because no matching opening brace"],
    ['}', 'COREFILE_SYNTAX', "1:1: Unexpected '}' because no matching opening brace"],
    ['. } {', 'COREFILE_SYNTAX', "1:3: Unexpected '}' because no matching opening brace"],
    [
      '.:53 {\n  errors\n',
      'COREFILE_SYNTAX',
      "2:3: Syntax error: Unexpected token 'errors', expecting '}'; the block of .:53, opened in line 1, is never closed",
    ],
    ['. {', 'COREFILE_SYNTAX', "1:3: Syntax error: Unexpected token '{', expecting '}'"],
    [
      '. {\n cache {\n  success 1\n',
      'COREFILE_SYNTAX',
      `3:11: Unexpected EOF, expecting '}'; the block of cache, opened in line 2, is never closed`,
    ],
    ['. {\n log#x\n}', 'COREFILE_COMMENT', '2:5: "#" inside the token "log"'],
    ['. {\n log "x\n}', 'COREFILE_QUOTE', '2:6: this quote is never closed'],
  ])('%j is refused with %s: %s', (text, code, says) => {
    const error = errorOf(text);
    expect(error.message).toContain(`/etc/coredns/Corefile:${says}`);
    expect(error.code).toBe(code);
  });

  test('a misspelled directive of CoreDNS gets the nearest name as its hint', () => {
    expect(errorOf('. {\n kubernets\n}').hint).toBe('did you mean "kubernetes"?');
    expect(errorOf('. {\n lop\n}').hint).toBe('did you mean "log"?');
  });

  test.each([...FOREIGN_DIRECTIVES.keys()])(
    '%s is refused as a directive of CoreDNS, unless it is one of ours',
    (name) => {
      const text = `. {\n ${name}\n}`;
      const options = { file: 'Corefile', source: sourceOf(), known: new Set(['errors']) };
      expect(() => parseCorefile(text, options)).toThrow(`no action found for directive '${name}'`);
      const known = new Set([name]);
      expect(parseCorefile(text, { ...options, known }).blocks).toHaveLength(1);
    },
  );

  test('the first error in the file is reported, and errors of keys come last', () => {
    expect(errorOf('a..b {\n foo\n}\n}').what).toBe("Unknown directive 'foo'");
    expect(errorOf('. {\n import none\n foo\n}').what).toBe('File to import not found: none');
    expect(errorOf('. {\n foo\n import none\n}').what).toBe("Unknown directive 'foo'");
  });
});

/** The errors of `text`, as `LINE: WHAT`, and the blocks that are read all the same. */
function recovered(text: string): { errors: string[]; blocks: string[] } {
  const errors: string[] = [];
  const corefile = parseCorefile(text, {
    file: 'Corefile',
    source: sourceOf(),
    known: KNOWN,
    report: ({ place, what }) => void errors.push(`${place!.line}: ${what}`),
  });
  const blocks = outline(corefile).map(({ keys, uses }) => `${keys.join(' ')}: ${uses.join(', ')}`);
  return { errors, blocks };
}

describe('reading goes on after an error when all are wanted', () => {
  test.each([
    {
      text: '. {\n foo\n log\n bar 1 {\n  x\n }\n}\na.test {\n kubernetes\n errors\n}',
      errors: ['2:', '4:', '9:'],
      blocks: ['.:53: log', 'a.test.:53: errors'],
      because: 'an unknown directive is left out with its block',
    },
    {
      text: 'a.test {\n errors\nb.test {\n log\n}\nc.test {\n cache\n}\n',
      errors: ['3:'],
      blocks: ['b.test.:53: log', 'c.test.:53: cache', 'a.test.:53: errors'],
      because: 'a brace that is missing between blocks is reported once',
    },
    {
      text: '.:53{\n log\n}\na.test {\n errors\n}',
      errors: ['1:'],
      blocks: ['.:53: log', 'a.test.:53: errors'],
      because: 'a brace glued to a key opens the block',
    },
    {
      text: '. { log }\na.test { errors }',
      errors: ['1:', '2:'],
      blocks: ['.:53: log', 'a.test.:53: errors'],
      because: 'a block on one line is read as a block',
    },
    {
      text: '. {\n forward . x { a b }\n forward . y\n {\n z\n }\n log\n}',
      errors: ['2:', '4:'],
      blocks: ['.:53: forward . x { a b }, forward . y, log'],
      because: 'the block of a directive on one line is read as a block',
    },
    {
      text: '. {\n cache {\n  a {\n   b\n  }\n  c\n }\n log\n}',
      errors: ['3:'],
      blocks: ['.:53: cache { a; c }, log'],
      because: 'a block in an option is left out',
    },
    {
      text: '. {\n log\n}\n}\n}\na.test {\n}\n}',
      errors: ['4:', '5:', '8:'],
      blocks: ['.:53: log', 'a.test.:53: '],
      because: 'surplus braces are dropped',
    },
    {
      text: 'a..b {\n}\n.:99999 . {\n log\n}',
      errors: ['1:', '3:'],
      blocks: ['.:53: log'],
      because: 'a bad key is left out',
    },
    {
      text: '. {\n import none\n import\n log#x y\n cache "z\n errors\n}',
      errors: ['4:', '5:', '2:', '3:'],
      blocks: ['.:53: log, cache z, errors'],
      because: 'a bad import is empty, and errors of the lexer come first',
    },
    {
      text: '(a) {\n log\n}\n(a) {\n errors\n}\n(b)\n. {\n import a\n}',
      errors: ['4:', '8:'],
      blocks: ['.:53: errors'],
      because: 'the last declaration of a snippet counts',
    },
    {
      text: '. {\n log\n cache {\n  success 1',
      errors: ['4:', '4:'],
      blocks: ['.:53: log, cache { success 1 }'],
      because: 'the end of the file closes open blocks',
    },
  ])('$because', ({ text, errors, blocks }) => {
    const found = recovered(text);
    expect(found.errors.map((error) => `${error.split(':')[0]!}:`)).toEqual(errors);
    expect(found.blocks).toEqual(blocks);
  });

  test('the error after the hundredth is thrown', () => {
    const text = `. {\n${'foo\n'.repeat(200)}}`;
    const errors: CorefileError[] = [];
    const report = (error: CorefileError): void => void errors.push(error);
    const options = { file: 'Corefile', source: sourceOf(), known: KNOWN, report };
    expect(() => parseCorefile(text, options)).toThrow("102:1: Unknown directive 'foo'");
    expect(errors).toHaveLength(100);
  });
});

describe('the fingerprint', () => {
  const before = parse('. {\n log # x\n}').fingerprint;
  test.each([
    {
      text: '. {\n\tlog   # another\n} # more',
      same: true,
      because: 'comments and spacing do not count',
    },
    { text: '. {\r\n log\r\n}\r\n', same: true, because: 'the kind of line ends does not count' },
    { text: '. {\n "{$L}"\n}', same: true, because: 'a variable counts as its value' },
    { text: '. {\n\n log # x\n}', same: false, because: 'a line has moved' },
    { text: '. {\n errors\n}', same: false, because: 'a word differs' },
    { text: '. {\n log "{"\n}', same: false, because: 'a word was added' },
  ])('the fingerprint is the same ($same), since $because', ({ text, same }) => {
    expect(parse(text, { L: 'log' }).fingerprint === before).toBe(same);
  });
});

describe('the shapes of real node-local Corefiles', () => {
  test.each([
    {
      title: 'one block with tuned errors and cache',
      text: `.:53 {
    errors {
        consolidate 10s ".* i/o timeout$"
        consolidate 10s "^Failed to .+$"
    }
    cache {
        success 120000 30 5 # capacity, TTL, least TTL
        denial 65536 5 1
        prefetch 10 1m 25%
        serve_stale 1h verify
        servfail 0
    }
    metadata
    reload 2s
    prometheus 127.0.0.1:4224
    health 127.0.0.1:9225
}`,
      blocks: [
        '.:53: errors { consolidate 10s .* i/o timeout$; consolidate 10s ^Failed to .+$ }; cache { success 120000 30 5; denial 65536 5 1; prefetch 10 1m 25%; serve_stale 1h verify; servfail 0 }; metadata; reload 2s; prometheus 127.0.0.1:4224; health 127.0.0.1:9225',
      ],
    },
    {
      title: 'another order, and imports without a match',
      text: `cluster.local:53 {
    loop
    bind 169.254.20.10
    forward . 100.64.0.10 {
            force_tcp
    }
    prometheus :9253
    health 169.254.20.10:8099
    import custom/*.override
    errors
    cache 30
    reload
    }
import generated-config/custom-server-block*
`,
      blocks: [
        'cluster.local.:53: loop; bind 169.254.20.10; forward . 100.64.0.10 { force_tcp }; prometheus :9253; health 169.254.20.10:8099; errors; cache 30; reload',
      ],
    },
    {
      title: 'stub domains with several keys, ports and rewrites',
      text: `corp.example:53 example.net:5353 {
    errors
    cache 30
    rewrite name suffix .corp.example .example.net answer auto
    forward . 10.1.0.1 10.1.0.2
}`,
      blocks: [
        'corp.example.:53 example.net.:5353: errors; cache 30; rewrite name suffix .corp.example .example.net answer auto; forward . 10.1.0.1 10.1.0.2',
      ],
    },
    {
      title: 'empty blocks and a log of all',
      text: `.:53 {
  log . combined {
    class all
  }
  cache 30 {
  }
  forward . 172.20.0.10 {
  }
  bind 0.0.0.0
  health
}`,
      blocks: [
        '.:53: log . combined { class all }; cache 30 {  }; forward . 172.20.0.10 {  }; bind 0.0.0.0; health',
      ],
    },
    {
      title: 'no IPv6, DNS over TLS, hosts',
      text: `. {
    template IN AAAA . {
        rcode NOERROR
    }
    template ANY AAAA
    hosts {
        10.1.2.3 registry.corp
        fallthrough
    }
    forward . tls://1.1.1.1 tls://1.0.0.1 {
        tls_servername cloudflare-dns.com
        health_check 5s
    }
}`,
      blocks: [
        '.:53: template IN AAAA . { rcode NOERROR }; template ANY AAAA; hosts { 10.1.2.3 registry.corp; fallthrough }; forward . tls://1.1.1.1 tls://1.0.0.1 { tls_servername cloudflare-dns.com; health_check 5s }',
      ],
    },
    {
      title: 'the text that node-cache appends for stub domains, and placeholders left in',
      text: `example.org:53 {
    errors
    cache 30
    bind __PILLAR__LOCAL__DNS__
    forward . __PILLAR__UPSTREAM__SERVERS__
}
.:53 {
    whoami
}`,
      blocks: [
        'example.org.:53: errors; cache 30; bind __PILLAR__LOCAL__DNS__; forward . __PILLAR__UPSTREAM__SERVERS__',
        '.:53: whoami',
      ],
    },
  ])('a Corefile of this shape is read: $title', ({ text, blocks }) => {
    expect(short(text)).toEqual(blocks);
  });
});
