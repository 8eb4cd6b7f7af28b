/** A host and its port. Not checked here: who reads them from text has. */
export interface HostPort {
  /** An address without brackets, or a name; empty for all addresses. */
  readonly host: string;
  readonly port: number;
}
