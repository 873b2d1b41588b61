/** What the canvas takes from marks/, in one place. */
export { Icon, Mark, Port } from "../marks";
