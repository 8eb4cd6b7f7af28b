import { describe, expect, test } from 'vitest';
import { COMMANDS } from './commands.ts';
import { SHELLS, completionScript } from './completion.ts';
import { FLAGS, FlagError } from './flags.ts';

describe.each(SHELLS)('the script for %s', (shell) => {
  const script = completionScript(shell, COMMANDS);

  test('names every command', () => {
    for (const name of Object.keys(COMMANDS)) expect(script).toContain(name);
  });

  test('names every flag', () => {
    const dash = shell === 'fish' ? '-o ' : '-';
    for (const name of Object.keys(FLAGS)) expect(script).toContain(`${dash}${name}`);
  });

  test('offers the words that a flag takes', () => {
    expect(script).toContain('auto iptables nftables none');
  });
});

test('a shell without a script is refused with the names of those that have one', () => {
  expect(() => completionScript('tcsh', COMMANDS)).toThrow(FlagError);
  expect(() => completionScript('tcsh', COMMANDS)).toThrow('"tcsh" is none of bash, zsh, fish');
});
