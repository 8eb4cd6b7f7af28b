/** A caught value as text, for a log line or an error of ours: an Error's message, without its stack. */
export function reasonOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
