/** check, fmt and explain as an operator runs them: exit codes, streams, and nothing left behind. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { launchMain } from '../harness/daemon.ts';
import { useLab } from '../harness/lab.ts';
import { Child } from '../harness/process.ts';
import { within } from '../harness/timing.ts';

const lab = useLab();
const EXAMPLE = join(import.meta.dirname, '../../Corefile.example');

async function ran(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = launchMain(lab, args);
  const { code } = await within('it ends', child.ended, 10_000);
  return { code, out: child.stdout, err: child.stderr };
}

describe('commands', () => {
  test('check of the example: nothing is wrong, and everything in it can be built', async () => {
    expect(await ran('check', EXAMPLE)).toEqual({
      code: 0,
      out: `${EXAMPLE}: 2 server blocks, no error\n`,
      err: '',
    });
  });

  test('check tells all errors on stderr, with exit code 1', async () => {
    const file = lab.write('Bad', '. {\n cache 0\n lop\n forward . quic://x\n}\n');
    const { code, out, err } = await ran('check', file);
    expect({ code, out }).toEqual({ code: 1, out: '' });
    expect(err.trimEnd().split('\n')).toEqual([
      expect.stringContaining('Bad:2:8: cache: '),
      expect.stringContaining('Bad:3:2: Unknown directive'),
      expect.stringContaining("Bad:4:12: forward: 'quic' is not supported"),
      `${file}: 3 errors`,
    ]);
  });

  test('fmt -w writes the file, and only what it says', async () => {
    const file = lab.write('Untidy', '. {\n  errors   # all\n}');
    expect(await ran('fmt', '-w', file)).toEqual({ code: 0, out: '', err: '' });
    expect(readFileSync(file, 'utf8')).toBe('. {\n    errors # all\n}\n');
  });

  test('explain tells of an import, relative to its file', async () => {
    lab.write('more', 'forward . 192.0.2.1\n');
    const file = lab.write('Importing', '. {\n import more\n}\n');
    const { code, out } = await ran('explain', file, 'www.example.org');
    expect(code).toBe(0);
    expect(out).toContain('forward     to 192.0.2.1:53');
  });

  test('an argument that is no command is reported with exit code 2', async () => {
    const { code, err } = await ran('chek', EXAMPLE);
    expect({ code, err }).toEqual({
      code: 2,
      err: 'unknown command "chek": flags begin with -; did you mean check?\n',
    });
  });

  test.each([
    {
      shell: 'bash',
      asks: 'COMP_WORDS=(nodelocald ch); COMP_CWORD=1; _nodelocald; echo "${COMPREPLY[@]}"',
      offers: /^check$/m,
    },
    {
      shell: 'bash',
      asks: 'COMP_WORDS=(nodelocald -con); COMP_CWORD=1; _nodelocald; echo "${COMPREPLY[@]}"',
      offers: /^-conf$/m,
    },
    {
      // zsh's own functions need a terminal: those that ours calls print what they are given.
      shell: 'zsh',
      asks: '_describe() { print -l -- ${(P)2} }; CURRENT=2 words=(nodelocald ch); _nodelocald',
      offers: /^check:every error/m,
    },
    {
      shell: 'zsh',
      asks: '_arguments() { print -l -- "$@" }; CURRENT=2 words=(nodelocald -c); _nodelocald',
      offers: /^-conf\[/m,
    },
    { shell: 'fish', asks: 'complete -C "nodelocald ch"', offers: /^check\t/m },
    { shell: 'fish', asks: 'complete -C "nodelocald -firewall n"', offers: /^nftables\t/m },
  ])(
    '$shell completes with the script that it is given: $asks',
    async ({ shell, asks, offers }) => {
      const script = lab.write(`completion.${shell}`, (await ran('completion', shell)).out);
      const before = shell === 'zsh' ? 'compdef() { : }; ' : '';
      const command = `${before}source ${script}; ${asks}`;
      const child = new Child(lab, shell, [shell, '-c', command]);
      await within('it ends', child.ended, 10_000);
      expect({ out: child.stdout, err: child.stderr }).toEqual({
        out: expect.stringMatching(offers) as string,
        err: '',
      });
    },
  );

  test('a second dash, `help` before it or -help behind it explain a command', async () => {
    const help = await ran('help', 'fmt');
    expect(help).toEqual({
      code: 0,
      out: expect.stringContaining('nodelocald fmt [-w] FILE'),
      err: '',
    });
    expect(await ran('fmt', '-help')).toEqual(help);
    expect(await ran('fmt', '--help')).toEqual(help);
  });

  test('-help lists them', async () => {
    expect((await ran('-help')).out).toContain('nodelocald explain FILE [NAME [TYPE]]');
  });
});
