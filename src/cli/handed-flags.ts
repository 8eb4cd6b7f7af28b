/**
 * The flags as a supervisor hands them to its worker, which so loads no parser: in an environment
 * variable, since `ps` should show the command line as the operator wrote it.
 */
import { type Flags, flagsFrom } from './flags.ts';

const VARIABLE = 'NODELOCALD_FLAGS';

/** What a supervisor adds to the environment of its worker. */
export function handedFlagsEnvironment(flags: Flags): Record<string, string> {
  return { [VARIABLE]: JSON.stringify(flags) };
}

/**
 * The flags that were handed to this process, or undefined if none were: then the supervisor is of a
 * version that did not. A flag that the supervisor's version lacks has its default. Takes the variable out
 * of `environment`: programs that the worker starts have no use for it.
 */
export function handedFlags(environment: NodeJS.ProcessEnv): Flags | undefined {
  const text = environment[VARIABLE];
  if (text === undefined) return undefined;
  delete environment[VARIABLE];
  return { ...flagsFrom(new Map()), ...(JSON.parse(text) as Partial<Flags>) };
}
