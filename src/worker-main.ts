/** The worker's process: started by its supervisor (daemon/supervisor.ts), and by nobody else. */
import { parseFlags } from './cli/flags.ts';
import { complain } from './daemon/complain.ts';
import { serveSupervised } from './daemon/serve.ts';

serveSupervised(parseFlags(process.argv.slice(2))).catch(complain);
