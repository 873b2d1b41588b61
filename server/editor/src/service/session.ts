/** The address that the server prints carries its token behind `#`, which no server sees. It becomes a cookie. */
import { api } from "./api";
import { Refused } from "./refused";

export type LogIn = "none" | "done" | "wrong";

/** Takes the token out of the address and changes it for the cookie. Once, before anything is asked. */
export async function logIn(place: Location = location, past: History = history): Promise<LogIn> {
  const parts = new URLSearchParams(place.hash.slice(1));
  const token = parts.get("token");
  if (token === null) return "none";
  parts.delete("token");
  const rest = parts.toString();
  past.replaceState(null, "", place.pathname + place.search + (rest ? `#${rest}` : ""));
  try {
    await api.session(token);
    return "done";
  } catch (error) {
    if (error instanceof Refused) return "wrong";
    throw error;
  }
}
