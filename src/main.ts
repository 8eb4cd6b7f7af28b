#!/usr/bin/env -S node --max-semi-space-size=1 --heap-growing-percent=60
/**
 * The daemon: argv to supervisor, or to a worker alone, or to an answer on the terminal. What the
 * supervisor does not need is loaded where it is needed.
 *
 * Owns:    which of the three it is, and the exit codes of errors before anything runs.
 */
import { FlagError, type Flags } from './cli/flags.ts';
import { parseFlags } from './cli/parse-flags.ts';

const EXIT_FAILED = 1;

/** `-cleanup`: tells what was removed, and fails if something could not be. */
async function cleanUpNode(flags: Flags): Promise<void> {
  const { cleanUp } = await import('./hostnet/teardown.ts');
  const { removed, failures } = await cleanUp({ ...flags, addresses: flags.localIps });
  for (const line of removed) process.stdout.write(`${line}\n`);
  for (const failure of failures) process.stderr.write(`${failure.message}\n`);
  process.exitCode = failures.length > 0 ? EXIT_FAILED : 0;
}

async function serve(flags: Flags, argv: readonly string[]): Promise<void> {
  const canSupervise = (await import('./sys/libc.ts')).loadLibc() !== undefined;
  if (flags.handover !== '' && !(flags.supervise && canSupervise)) {
    throw new FlagError('-handover needs -supervise, Linux on x64 or arm64, and koffi');
  }
  if (flags.supervise && canSupervise) {
    const { Supervisor } = await import('./daemon/supervisor/supervisor.ts');
    await new Supervisor(flags, argv).run();
  } else {
    const { serveAlone } = await import('./daemon/worker/run.ts');
    await serveAlone(flags);
  }
}

/** Runs a command. Whatever was built for it ends with the process. */
async function command(argv: readonly string[]): Promise<never> {
  const { runCommand } = await import('./cli/commands.ts');
  const { dryRun } = await import('./daemon/worker/dry-run.ts');
  const { processTerminal } = await import('./cli/terminal.ts');
  process.exit(runCommand(argv, { terminal: processTerminal, dryRun }));
}

async function main(argv: readonly string[]): Promise<void> {
  if (argv[0]?.startsWith('-') === false) return command(argv);
  const flags = parseFlags(argv);
  if (flags.help) {
    const { fullUsage } = await import('./cli/commands.ts');
    process.stdout.write(fullUsage());
  } else if (flags.version) {
    const { VERSION } = await import('./daemon/worker/version.ts');
    process.stdout.write(`nodelocald-${VERSION}\n`);
  } else if (flags.plugins) {
    const { DIRECTIVES } = await import('./directives/index.ts');
    const names = DIRECTIVES.map(({ name }) => name).sort();
    process.stdout.write(`${names.join('\n')}\n`);
  } else if (flags.cleanup) {
    await cleanUpNode(flags);
  } else if (flags.conf === '') {
    throw new FlagError('no Corefile: name one with -conf FILE; see -help');
  } else {
    await serve(flags, argv);
  }
}

main(process.argv.slice(2)).catch(async (error: unknown) => {
  const { complain } = await import('./daemon/worker/complain.ts');
  complain(error);
});
