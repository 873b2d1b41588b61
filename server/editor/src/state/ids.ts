/** An id of this browser's own. */
export function newId(): string {
  // randomUUID is there in secure pages alone, and a server on the local network is none.
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
