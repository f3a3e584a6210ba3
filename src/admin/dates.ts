/** A date, in milliseconds since 1970, as answers have it. */
export function dateOf(epochMs: number): string {
  return new Date(epochMs).toISOString();
}
