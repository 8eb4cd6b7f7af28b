/** The worker's process: started by its supervisor (daemon/supervisor/supervisor.ts), and by nobody else. */
import { parseFlags } from './cli/flags.ts';
import { complain } from './daemon/worker/complain.ts';
import { serveSupervised } from './daemon/worker/run.ts';

serveSupervised(parseFlags(process.argv.slice(2))).catch(complain);
