/**
 * Removes interface and rules from the node for a worker that cannot: queries reach kube-dns then, as if
 * we were not installed. Loaded when it is needed, so that the supervisor stays small.
 */
import type { Flags } from '../../cli/flags.ts';
import { HostNetwork } from '../../hostnet/sync.ts';
import { ownInodes } from '../../sys/bound-sockets.ts';
import { hostNetworkOptions } from '../node/node-options.ts';
import { sharedAddresses } from '../node/other-daemons.ts';

/** Resolves when all is removed, or when that has failed and `failed` was called. Never rejects. */
export async function leaveNode(flags: Flags, failed: (why: string) => void): Promise<void> {
  const network = new HostNetwork(hostNetworkOptions(flags), {
    failed: (_kind, error) => failed(error.message),
    repaired: () => undefined,
    info: () => undefined,
  });
  // Our own are closed by now, or held by us.
  const shared = sharedAddresses(flags, ownInodes());
  network.leaveTo(shared.map(({ address }) => address));
  await network.tearDown();
}
