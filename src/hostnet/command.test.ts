import { describe, expect, test } from 'vitest';
import { type HostnetCode, commandError, holdCommand, runCommand } from './command.ts';

describe('the meaning of the messages of ip, iptables and nft', () => {
  test.each<[HostnetCode, string]>([
    ['forbidden', 'RTNETLINK answers: Operation not permitted'],
    [
      'forbidden',
      'iptables-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)',
    ],
    ['forbidden', 'netlink: Error: cache initialization failed: Operation not permitted'],
    // An IPv6 address where IPv6 is switched off: others are still available.
    ['failed', 'RTNETLINK answers: Permission denied'],
    ['locked', 'Another app is currently holding the xtables lock. Stopped waiting after 5s.'],
    ['failed', "iptables-restore v1.8.9 (legacy): Couldn't load match `socket'"],
    ['failed', ''],
  ])('a failure is %s if the program says: %s', (code, stderr) => {
    const error = commandError('ip link', new Error('Command failed'), `${stderr}\n`);
    expect(error).toMatchObject({ code, said: stderr, command: 'ip link' });
  });

  test('several lines of a message become one', () => {
    expect(commandError('nft', new Error('x'), 'Error: a\n  b\n\n').said).toBe('Error: a; b');
  });
});

describe('running a program', () => {
  const node = process.execPath;

  test('a program gets its input, and its output is returned', async () => {
    expect(await runCommand(node, ['-e', 'process.stdin.pipe(process.stdout)'], 'text')).toBe(
      'text',
    );
  });

  test('a program that is not installed is missing', async () => {
    await expect(runCommand('no-such-program', [])).rejects.toMatchObject({ code: 'missing' });
  });

  test('a program that ends before it has read its input fails with its exit', async () => {
    const args = ['-e', 'console.error("why"); process.exit(4)'];
    const input = 'x'.repeat(1 << 20);
    await expect(runCommand(node, args, input)).rejects.toMatchObject({
      code: 'failed',
      said: 'why',
    });
  });

  test('a signal aborts a program', async () => {
    const abort = new AbortController();
    const running = runCommand(node, ['-e', 'setTimeout(() => {}, 60000)'], '', abort.signal);
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });

  test('a held program takes input, gives output, and reports its end', async () => {
    const held = holdCommand(node, ['-e', 'process.stdin.pipe(process.stdout)']);
    const heard = new Promise((resolve) => held.onOutput(resolve));
    const ended = new Promise((resolve) => held.onEnd(resolve));
    held.write('text');
    expect(await heard).toBe('text');
    held.kill();
    expect(await ended).toMatchObject({ code: 'failed' });
  });

  test('a held program that is not installed is missing', async () => {
    const held = holdCommand('no-such-program', []);
    held.write('into the void');
    expect(await new Promise((resolve) => held.onEnd(resolve))).toMatchObject({ code: 'missing' });
  });
});
