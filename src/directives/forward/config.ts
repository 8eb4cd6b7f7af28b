/** The configuration that `forward` is built from, one for each of its uses in a block. */
import type { ForwardConfig } from '../../upstream/config.ts';
import type { To } from './targets.ts';

/** The configuration of one use; the targets that stand in a file are read when it is built. */
export interface ForwardUse {
  readonly config: Omit<ForwardConfig, 'targets'>;
  readonly to: readonly To[];
  /** For TOs that are files: where to send from. */
  readonly source: string | undefined;
  /** Where names among the TOs are looked up, `IP` or `IP:PORT`; empty is as the system does. */
  readonly resolvers: readonly string[];
}
