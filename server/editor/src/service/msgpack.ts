/** The reader of previews, a part of its own. */
export { decode } from "@msgpack/msgpack";
