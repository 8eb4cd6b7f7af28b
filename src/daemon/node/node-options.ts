/** The flags of the command line that concern the node's network. */
import type { Flags } from '../../cli/flags.ts';
import type { HostNetworkOptions } from '../../hostnet/sync.ts';

export function hostNetworkOptions(flags: Flags): HostNetworkOptions {
  return {
    addresses: flags.localIps,
    dnsPort: flags.dnsPort,
    healthPort: flags.healthPort,
    interfaceName: flags.interfaceName,
    setupInterface: flags.setupInterface,
    firewall: flags.firewall,
    crashSafe: flags.crashSafe,
    tracked: !flags.notrack,
  };
}
