import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseCorefile } from '../corefile/blocks.ts';
import { CorefileError } from '../corefile/error.ts';
import type { Source } from '../corefile/source.ts';
import { configure } from '../directives/configure.ts';
import { QueryView, readQuery } from '../dns/question.ts';
import { A, DS, typeName } from '../dns/rrtype.ts';
import { queryMessage } from '../query/testing.ts';
import { type ZoneBinding, ZoneTable } from '../server/zone-table.ts';
import type { DryRun } from './check.ts';
import { runCommand } from './commands.ts';
import { blockFor } from './explain.ts';
import type { Terminal } from './terminal.ts';

class FakeTerminal implements Terminal {
  readonly files: Map<string, string>;
  readonly isPerson: boolean;
  stdout = '';
  stderr = '';

  constructor(files: Readonly<Record<string, string>>, isPerson: boolean) {
    this.files = new Map(Object.entries(files));
    this.isPerson = isPerson;
  }

  get source(): Source {
    return {
      readFile: (path) => {
        const text = this.files.get(path);
        if (text === undefined) throw new Error('no such file or directory');
        return text;
      },
      list: () => [],
      kindOf: (path) => (this.files.has(path) ? 'file' : undefined),
      env: () => undefined,
    };
  }

  readStandardInput(): string {
    return this.files.get('(stdin)')!;
  }

  writeFile(path: string, text: string): void {
    this.files.set(path, text);
  }

  out(text: string): void {
    this.stdout += text;
  }

  err(text: string): void {
    this.stderr += text;
  }
}

interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  readonly terminal: FakeTerminal;
}

function run(
  argv: string,
  files: Readonly<Record<string, string>>,
  options: { readonly dryRun?: DryRun; readonly isPerson?: boolean } = {},
): Outcome {
  const terminal = new FakeTerminal(files, options.isPerson === true);
  const dryRun = options.dryRun ?? ((): void => undefined);
  const code = runCommand(argv.split(' '), { terminal, dryRun });
  const { stdout, stderr } = terminal;
  return { code, stdout, stderr, terminal };
}

const FORWARD = 'forward . 192.0.2.1';
const GOOD = `. {\n    ${FORWARD}\n}\n`;

describe('the command line of commands', () => {
  test.each([
    ['chek /f', 'unknown command "chek": flags begin with -; did you mean check?'],
    ['serve', 'unknown command "serve": flags begin with -; see -help'],
    ['toString', 'unknown command "toString"'],
    ['check', 'usage: nodelocald check FILE'],
    ['check /f /g', 'usage: nodelocald check FILE'],
    ['explain /f a A x', 'usage: nodelocald explain FILE'],
    ['fmt', 'usage: nodelocald fmt [-w] FILE'],
    ['check /f -w', 'flag provided but not defined: -w'],
    ['check /f -dns.prot 1', 'did you mean -dns.port?'],
    ['explain /f a..b', '"a..b" is no domain name'],
    ['explain /f a.test NONE', '"NONE" is no type of records'],
  ])('%s: %s', (argv, says) => {
    const { code, stdout, stderr } = run(argv, { '/f': GOOD });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(says);
  });

  test.each(['check', 'fmt', 'explain'])('%s of a file that is not there', (command) => {
    const { code, stderr } = run(`${command} /none`, {});
    expect(code).toBe(1);
    expect(stderr).toBe('open /none: no such file or directory\n');
  });

  test.each(['check -', 'check stdin', 'fmt -', 'explain -'])('%s reads standard input', (argv) => {
    expect(run(argv, { '(stdin)': GOOD })).toMatchObject({ code: 0, stderr: '' });
  });
});

describe('check', () => {
  test('says that nothing is wrong', () => {
    const { code, stdout, stderr } = run('check /f', { '/f': `${GOOD}a.test {\n}\n` });
    expect({ code, stdout, stderr }).toEqual({
      code: 0,
      stdout: '/f: 2 server blocks, no error\n',
      stderr: '',
    });
  });

  test('tells every error at once, in the order of the file, and of what it imports', () => {
    const text = `a.test {
 forward . 192.0.2.1 {
  max_fail 3
  expire 5
 }
 import /g
 kubernetes
}
a..b {
}
. {
 cache 0
 lop
}
. {
 cach
}
`;
    const { code, stdout, stderr } = run('check /f', { '/f': text, '/g': 'errors x\ncache {\n' });
    expect(code).toBe(1);
    expect(stdout).toBe('');
    const lines = stderr.trimEnd().split('\n');
    const places = lines.map((line) => /^\/\w(?::\d+)?/.exec(line)?.[0]);
    const inFile = [3, 4, 7, 9, 9, 12, 13, 15, 16].map((line) => `/f:${line}`);
    expect(places).toEqual([...inFile, '/g:1', '/f']);
    expect(stderr).toContain('did you mean "max_fails"?');
    expect(lines.at(-1)).toBe('/f: 10 errors');
  });

  test('tells what shows only when everything is built, if nothing else is wrong', () => {
    const place = { file: '/f', line: 2, column: 5, length: 1 };
    const dryRun: DryRun = () => {
      throw new CorefileError('COREFILE_FILE', place, 'it cannot be had');
    };
    const { code, stderr } = run('check /f', { '/f': GOOD }, { dryRun });
    expect(code).toBe(1);
    expect(stderr).toBe('/f:2:5: it cannot be had\n/f: 1 error\n');
    expect(run('check /f', { '/f': `${GOOD}}` }, { dryRun }).stderr).not.toContain('cannot be had');
  });

  test('an empty file is an error, and said once', () => {
    expect(run('check /f', { '/f': '\n' }).stderr).toBe(
      '/f:1:1: there is no server block; a block is a zone and its directives in braces, each on a ' +
        'line of its own\n/f: 1 error\n',
    );
    expect(run('check /f', { '/f': '}' }).stderr).not.toContain('there is no server block');
  });

  test('a warning is told, and is no error', () => {
    const text = 'a_b.test {\n import /none*\n forward 10.0.0.0/23 192.0.2.1\n}\n';
    const { code, stderr } = run('check /f', { '/f': text });
    expect(code).toBe(0);
    expect(stderr.split('\n')).toEqual([
      '/f:2:9: warning: No files matching import glob pattern: /none*',
      '/f:1:1: warning: Domain "a_b.test." does not follow RFC1035 preferred syntax',
      expect.stringContaining('/f: warning: plugin/forward: Unsupported CIDR notation'),
      '',
    ]);
  });

  test('a person sees the line, also that of an imported file', () => {
    const files = { '/f': '. {\n import /g\n lop\n}\n', '/g': '  cache 0 # none\n' };
    expect(run('check /f', files, { isPerson: true }).stderr.split('\n').slice(0, 6)).toEqual([
      `/f:3:2: Unknown directive 'lop'`,
      '      3 |  lop',
      '        |  ^^^ did you mean "log"?',
      '/g:1:9: cache: cache TTL can not be zero or negative: 0',
      '      1 |   cache 0 # none',
      '        |         ^ expected seconds, at least 1',
    ]);
  });

  test('a template is read with addresses for its variables, which is told', () => {
    const text = `__PILLAR__DNS__DOMAIN__:53 {
 bind __PILLAR__LOCAL__DNS__ __PILLAR__DNS__SERVER__
 health __PILLAR__LOCAL__DNS__:8080
 forward . __PILLAR__CLUSTER__DNS__
 cache 0
}
`;
    const { code, stderr } = run('check /f -localip 192.0.2.10', { '/f': text });
    expect(code).toBe(1);
    expect(stderr).toContain('note: /f is a template (-basecorefile): read with 192.0.2.10');
    expect(stderr).toContain('/f:5:8: cache: cache TTL');
    expect(run('check /f', { '/f': text.replace('cache 0', 'errors') }).code).toBe(0);
  });

  test('keys without port have that of -dns.port', () => {
    const text = `. {\n}\n.:1053 {\n}\n`;
    expect(run('check /f', { '/f': text }).code).toBe(0);
    expect(run('check /f -dns.port 1053', { '/f': text }).stderr).toContain('already defined');
  });
});

describe('fmt', () => {
  const text = '. {\n forward  . 192.0.2.1\n}';

  test('prints the canonical form', () => {
    const { code, stdout, terminal } = run('fmt /f', { '/f': text });
    expect({ code, stdout }).toEqual({ code: 0, stdout: GOOD });
    expect(terminal.files.get('/f')).toBe(text);
  });

  test.each(['fmt -w /f', 'fmt /f -w'])('%s writes it', (argv) => {
    const { code, stdout, terminal } = run(argv, { '/f': text });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(terminal.files.get('/f')).toBe(GOOD);
  });

  test('leaves a file alone that has no form, and tells why', () => {
    const { code, stdout, stderr, terminal } = run('fmt -w /f', { '/f': '. {\n log\n' });
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain("/f:2:2: Syntax error: Unexpected token 'log', expecting '}'");
    expect(terminal.files.get('/f')).toBe('. {\n log\n');
  });

  test('does not mind what it cannot know: directives, files, variables', () => {
    expect(run('fmt /f', { '/f': 'custom x\nimport /none\n{$NONE}\n' }).code).toBe(0);
  });
});

describe('explain', () => {
  const text = `cluster.test:53 10.0.0.0/24 {
 errors
 cache {
  success 100 30
  denial 200 5
 }
 bind 127.0.0.1 127.0.0.2
 forward . 192.0.2.1 {
  force_tcp
 }
}
.:53 {
 bind 127.0.0.1
 prometheus
 cache 300 example.test
 forward corp.test 192.0.2.2 tls://192.0.2.3%dns.test
 forward . 192.0.2.4 {
  except not.test
 }
}
`;

  test('of a name: its block at each address, what it passes, upstreams and TTLs', () => {
    expect(run('explain /f www.cluster.test', { '/f': text }).stdout).toBe(`www.cluster.test. A

at dns://127.0.0.1:53, dns://127.0.0.2:53: cluster.test:53 10.0.0.0/24 (/f:1)
  errors
  cache       answers are kept with a TTL from 5s to 30s, 100 at most
              denials are kept with a TTL of 5s, 200 at most
              failures are kept 5s
  forward     to 192.0.2.1:53
              over TCP
              an upstream is down after 3 failed checks, one each 500ms
  the query is not counted
`);
  });

  test.each([
    { asked: 'a.example.test', says: 'at dns://127.0.0.1:53: .:53 (/f:12)', because: 'it is' },
    {
      asked: 'a.example.test',
      says: 'at dns://127.0.0.2:53: REFUSED, no block has the name in its zones',
      because: 'only one block listens there',
    },
    {
      asked: 'a.example.test',
      says: 'answers are kept with a TTL from 5s to 5m0s, 10000 at most',
      because: 'it is in a zone of cache',
    },
    { asked: 'other.test', says: 'cache       does nothing with this name', because: 'it is not' },
    {
      asked: 'www.corp.test',
      says: 'forward     to 192.0.2.2:53, tls://192.0.2.3:853 as dns.test, random',
      because: 'the first forward takes it',
    },
    { asked: 'a.test', says: 'forward     to 192.0.2.4:53\n', because: 'the second one takes it' },
    { asked: 'x.not.test', says: 'forward     does nothing', because: 'it is excepted' },
    { asked: '7.0.0.10.in-addr.arpa ptr', says: '(/f:1)', because: 'the CIDR stands for it' },
    { asked: 'cluster.test DS', says: '(/f:1)', because: 'the root is no parent' },
    { asked: 'A.TEST TYPE65280', says: 'a.test. TYPE65280', because: 'case does not count' },
  ])('$asked: $says, as $because', ({ asked, says }) => {
    expect(run(`explain /f ${asked}`, { '/f': text }).stdout).toContain(says);
  });

  test('what stands below a directive that asks something else is told what that asks', () => {
    const text = '. {\n cache\n rewrite name a.test b.other\n forward other. 192.0.2.7\n}';
    const { stdout } = run('explain /f a.test', { '/f': text });
    expect(stdout).toContain('\n  rewrite     asks b.other. A instead\n');
    expect(stdout).toContain('\n  forward     to 192.0.2.7:53\n');
  });

  test('of all: each block, with what does not handle queries as well', () => {
    const { stdout } = run('explain /f', { '/f': text });
    expect(stdout).toContain('cluster.test:53 10.0.0.0/24 (/f:1), at dns://127.0.0.1:53, dns://');
    expect(stdout).toContain('\n  bind        127.0.0.1 127.0.0.2\n');
    expect(stdout).toContain('\n  forward     names in corp.test. to 192.0.2.2:53, tls://');
    expect(stdout).toContain('all names, but those in not.test., to 192.0.2.4:53\n');
    expect(run('explain /f', { '/f': '. {\n}' }).stdout).toContain('REFUSED: no directive');
  });

  test('of a Corefile with an error: the error', () => {
    const { code, stderr } = run('explain /f', { '/f': '. {\n cache 0\n}' });
    expect({ code, stderr: stderr.slice(0, 16) }).toEqual({ code: 1, stderr: '/f:2:8: cache: c' });
  });

  test('finds the block that the server finds', () => {
    const zone = fc.constantFrom('.', 'test', 'a.test', 'b.a.test', 'x-a.test', 'a', 'c.b.a.test');
    const zones = fc.uniqueArray(zone, { minLength: 1, maxLength: 5 });
    const name = fc.constantFrom(
      '.',
      'test',
      'a.test',
      'z.b.a.test',
      'x-a.test',
      'c.b.a.test',
      'q',
    );
    fc.assert(
      fc.property(zones, name, fc.constantFrom(A, DS), (served, asked, qtype) => {
        const corefile = served.map((key) => `${key} {\n}\n`).join('');
        const options = { file: 'Corefile', known: new Set<string>() };
        const blocks = configure(parseCorefile(corefile, options), {
          defaultPort: 53,
          warn: () => undefined,
        });
        const bindings = blocks.map(({ block }) => ({
          zone: block.keys[0]!.zone,
          chain: { handlers: [] },
        }));
        const table = new ZoneTable(bindings as unknown as ZoneBinding[]);
        const view = new QueryView(1);
        const message = queryMessage(asked, typeName(qtype));
        readQuery(view, message, 0, message.length);
        const point = { scheme: 'dns' as const, host: '', port: 53 };
        const full = asked === '.' ? '.' : `${asked}.`;
        const found = blockFor(blocks, point, { name: full, qtype });
        expect(found?.block.keys[0]!.zone).toBe(table.find(view)?.zone);
      }),
      { numRuns: 500 },
    );
  });
});
