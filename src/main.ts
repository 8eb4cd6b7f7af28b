#!/usr/bin/env -S node --max-semi-space-size=1 --heap-growing-percent=60
/** argv to worker; the only file with effects at import. */
import { readFileSync } from 'node:fs';
import { FlagError, type Flags, parseFlags, usage } from './cli/flags.ts';
import { CorefileError, type Place } from './corefile/error.ts';
import { reasonOf } from './daemon/reload.ts';
import { obeySignals } from './daemon/signals.ts';
import { VERSION } from './daemon/version.ts';
import { Worker } from './daemon/worker.ts';
import { DIRECTIVES } from './directives/index.ts';
import { cleanUp } from './hostnet/teardown.ts';
import { StreamLog } from './observe/log.ts';
import { ownSockets } from './sys/sockets.ts';

const EXIT_FAILED = 1;

/** One line; for a person at a terminal, with the line of the Corefile that it is about. */
function complain(error: unknown): never {
  const place = error instanceof CorefileError && process.stderr.isTTY ? error.place : undefined;
  const text =
    place === undefined ? reasonOf(error) : (error as CorefileError).render(lineAt(place));
  process.stderr.write(`${text}\n`);
  process.exit(EXIT_FAILED);
}

function lineAt({ file, line }: Place): string | undefined {
  try {
    return readFileSync(file, 'utf8').split('\n')[line - 1];
  } catch {
    return undefined; // it came from standard input, or has gone since
  }
}

/** `-cleanup`: tells what was removed, and fails if something could not be. */
async function cleanUpNode(flags: Flags): Promise<void> {
  const { removed, failures } = await cleanUp({ ...flags, addresses: flags.localIps });
  for (const line of removed) process.stdout.write(`${line}\n`);
  for (const failure of failures) process.stderr.write(`${failure.message}\n`);
  process.exitCode = failures.length > 0 ? EXIT_FAILED : 0;
}

async function main(): Promise<void> {
  const flags = parseFlags(process.argv.slice(2));
  if (flags.help) {
    process.stdout.write(usage());
  } else if (flags.version) {
    process.stdout.write(`nodelocald-${VERSION}\n`);
  } else if (flags.plugins) {
    const names = DIRECTIVES.map(({ name }) => name).sort();
    process.stdout.write(`${names.join('\n')}\n`);
  } else if (flags.cleanup) {
    await cleanUpNode(flags);
  } else if (flags.conf === '') {
    throw new FlagError('no Corefile: name one with -conf FILE; see -help');
  } else {
    const log = new StreamLog(flags.logFormat);
    const worker = new Worker(flags, log, ownSockets(), (code) => process.exit(code));
    obeySignals(
      worker,
      (code) => process.exit(code),
      (line) => log.info(line),
    );
    await worker.start();
  }
}

main().catch(complain);
