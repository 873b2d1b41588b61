/** That what the editor takes answers for is what the server's description says: `npm run types` fails where it is not. */
import type { Json } from "../document/types";
import type { components } from "./schema";
import type * as ours from "./types";

type Theirs = components["schemas"];
/** What may be anything is JSON. */
type Jsoned<T> = unknown extends T
  ? Json
  : T extends (infer Item)[]
    ? Jsoned<Item>[]
    : T extends object
      ? { [Key in keyof T]: Jsoned<T[Key]> }
      : T;
/** Compiles where whatever the server may answer can be taken for what we read. */
type Agrees<Their extends Our, Our> = [Their, Our];

export type Checked = [
  Agrees<Jsoned<Theirs["Problem"]>, ours.Problem>,
  Agrees<Jsoned<Theirs["Job"]>, ours.Job>,
  Agrees<Jsoned<Theirs["JobOutput"]>, ours.Output>,
  Agrees<Jsoned<Theirs["Plan"]>, ours.Plan>,
  Agrees<Jsoned<Theirs["PlannedNode"]>, ours.PlanNode>,
  Agrees<Jsoned<Theirs["Worker"]>, ours.Worker>,
  Agrees<Jsoned<Theirs["Queue"]>, ours.Queue>,
  Agrees<Jsoned<Theirs["Listed"]>, ours.Listed>,
  Agrees<Jsoned<Theirs["Version"]>, ours.Version>,
  Agrees<Jsoned<Theirs["Example"]>, ours.Example>,
  Agrees<Jsoned<Theirs["ModelEntry"]>, ours.ModelInfo>,
  Agrees<Jsoned<Theirs["System"]>, ours.System>,
  Agrees<Jsoned<Theirs["StoredFile"]>, ours.Uploaded>,
  Agrees<Jsoned<Theirs["NodeChange"]>, ours.Change>,
  Agrees<Jsoned<Theirs["Why"]>, ours.Why>,
  Agrees<Jsoned<Theirs["JobError"]>, ours.Fault>,
];
