import { family } from "../catalogue/families";

/** The hue of a type: `type-guidance` and so on are its classes. */
export function familyOf(type: string): string {
  return family(type);
}
