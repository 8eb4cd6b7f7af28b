/** The worker's process: started by its supervisor (daemon/supervisor/supervisor.ts), and by nobody else. */
import type { Flags } from './cli/flags.ts';
import { handedFlags } from './cli/handed-flags.ts';
import { complain } from './daemon/worker/complain.ts';
import { serveSupervised } from './daemon/worker/run.ts';

/** A supervisor that was started before an upgrade may be of a version that hands over arguments alone. */
async function flagsFromArguments(): Promise<Flags> {
  const { parseFlags } = await import('./cli/parse-flags.ts');
  return parseFlags(process.argv.slice(2));
}

async function main(): Promise<void> {
  await serveSupervised(handedFlags(process.env) ?? (await flagsFromArguments()));
}

main().catch(complain);
