import { describe, expect, test } from 'vitest';
import { type HostnetCode, commandError, holdCommand, runCommand } from './command.ts';

describe('what the tools say is told apart by what can be done about it', () => {
  test.each<[HostnetCode, string]>([
    ['forbidden', 'RTNETLINK answers: Operation not permitted'],
    [
      'forbidden',
      'iptables-save v1.8.9 (nf_tables): Could not fetch rule set generation id: Permission denied (you must be root)',
    ],
    ['forbidden', 'netlink: Error: cache initialization failed: Operation not permitted'],
    // An IPv6 address where IPv6 is switched off: others can still be had.
    ['failed', 'RTNETLINK answers: Permission denied'],
    ['locked', 'Another app is currently holding the xtables lock. Stopped waiting after 5s.'],
    ['failed', "iptables-restore v1.8.9 (legacy): Couldn't load match `socket'"],
    ['failed', ''],
  ])('%s: %s', (code, stderr) => {
    const error = commandError('ip link', new Error('Command failed'), `${stderr}\n`);
    expect(error).toMatchObject({ code, said: stderr, command: 'ip link' });
  });

  test('several lines become one', () => {
    expect(commandError('nft', new Error('x'), 'Error: a\n  b\n\n').said).toBe('Error: a; b');
  });
});

describe('running a program', () => {
  const node = process.execPath;

  test('resolves to its output, and gives it its input', async () => {
    expect(await runCommand(node, ['-e', 'process.stdin.pipe(process.stdout)'], 'text')).toBe(
      'text',
    );
  });

  test('one that is not there is missing', async () => {
    await expect(runCommand('no-such-program', [])).rejects.toMatchObject({ code: 'missing' });
  });

  test('one that ends before it read its input fails by its exit', async () => {
    const args = ['-e', 'console.error("why"); process.exit(4)'];
    const input = 'x'.repeat(1 << 20);
    await expect(runCommand(node, args, input)).rejects.toMatchObject({
      code: 'failed',
      said: 'why',
    });
  });

  test('a signal breaks it off', async () => {
    const abort = new AbortController();
    const running = runCommand(node, ['-e', 'setTimeout(() => {}, 60000)'], '', abort.signal);
    abort.abort();
    await expect(running).rejects.toMatchObject({ code: 'aborted' });
  });

  test('one that is held speaks, hears, and tells its end', async () => {
    const held = holdCommand(node, ['-e', 'process.stdin.pipe(process.stdout)']);
    const heard = new Promise((resolve) => held.onOutput(resolve));
    const ended = new Promise((resolve) => held.onEnd(resolve));
    held.write('text');
    expect(await heard).toBe('text');
    held.kill();
    expect(await ended).toMatchObject({ code: 'failed' });
  });

  test('one that cannot be held is missing', async () => {
    const held = holdCommand('no-such-program', []);
    held.write('into the void');
    expect(await new Promise((resolve) => held.onEnd(resolve))).toMatchObject({ code: 'missing' });
  });
});
