/** What the stores hold. */
import type { History } from "../document/history";
import type { Change, Fault, Job, PlanNode, Problem } from "../service/types";

export type SeedPolicy = "keep" | "next" | "random";

export interface Viewport {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

/** One step of a way into a definition: which one, and by which node. */
export interface TrailStep {
  readonly definition: string;
  readonly use: string;
}

export interface Tab {
  readonly id: string;
  /** The saved workflow's name; null while it has none. */
  readonly name: string | null;
  /** What the tab is called: the document's title, the name, or "untitled". */
  readonly title: string;
  /** What it was called where it came from, such as its file's name; counts while neither name nor title is there. */
  readonly given?: string;
  readonly history: History;
  /** The way from the root; its last definition is the place that is shown. */
  readonly trail: readonly TrailStep[];
  readonly selected: ReadonlySet<string>;
  readonly focus: string | null;
  /** By place (`""` is the root), so that going in and out keeps the view. */
  readonly viewports: ReadonlyMap<string, Viewport>;
  /** What the server has, by its etag and text; null when it has nothing of it. */
  readonly saved: { readonly etag: string; readonly text: string } | null;
  /** Whether the document differs from what the server has; true as well while that is being found out. */
  readonly unsaved: boolean;
  /** What the server has got meanwhile from someone else, where saving was refused (412). */
  readonly conflict: { readonly etag: string; readonly text: string } | null;
  readonly live: boolean;
  readonly view: "graph" | "app";
  /** Policies by `node.input`, as written in the document (`use.input` for those of a definition's use). */
  readonly seeds: ReadonlyMap<string, SeedPolicy>;
  /** Seeds that runs have used, by `node.input`, the newest first. */
  readonly usedSeeds: ReadonlyMap<string, readonly number[]>;
  /** Jobs started from here, the newest first. */
  readonly jobs: readonly string[];
}

export interface PlanState {
  readonly asked: "never" | "asking" | "known" | "failed";
  /** What is wrong, those of a node's inside (`use/inner`) too. */
  readonly problems: readonly Problem[];
  readonly nodes: ReadonlyMap<string, PlanNode>;
  readonly seconds: number | null;
  /** Of the nodes of the run: how many run or resume, and how many there are. */
  readonly counts: { readonly run: number; readonly of: number };
  /** The document that was asked about; another one in the tab means that an answer is under way. */
  readonly about: unknown;
}

export type NodeRunState = "waits" | "running" | "cached" | "done" | "failed" | "skipped";

/** What happens to one node in one run. Never changed in place. */
export interface NodeRun {
  readonly state: NodeRunState;
  readonly tier?: "memory" | "disk" | "unneeded";
  readonly step?: number;
  readonly total?: number;
  readonly message?: string;
  /** Steps that were there from an earlier run. */
  readonly resumed?: number;
  readonly items?: { readonly done: number; readonly of: number };
  readonly seconds?: number;
  /** An object URL of the newest picture. */
  readonly preview?: string;
  readonly error?: Fault;
  readonly reason?: string;
  readonly why?: readonly Change[];
  readonly began?: number;
  /** When the first step was told, and which it was: what is left is reckoned from here. */
  readonly paced?: { readonly time: number; readonly step: number };
  readonly ended?: number;
  readonly attempt?: number;
  /** The node inside that runs now, of a use of a definition: `image`, 3 of 5. */
  readonly inner?: { readonly name: string; readonly done: number; readonly of: number };
}

/** One job with what happened in it. The object is replaced at each change; `nodes` too. */
export interface RunInfo {
  readonly job: Job;
  /** Counts the runs this browser has seen, so that people can name them: "run 42". */
  readonly number: number;
  readonly tab: string | null;
  /** The number that the next state event has to have. */
  readonly next: number;
  readonly nodes: ReadonlyMap<string, NodeRun>;
  /** How many nodes the run has, once it is known. */
  readonly of: number;
  /** Seconds that the worker's start took, where the job waited for it. */
  readonly worker?: { readonly worker: number; readonly seconds: number };
  /** The document that ran, where it is known here. */
  readonly document?: unknown;
  /** Expected seconds by node, as the plan had them before the run. */
  readonly expected?: ReadonlyMap<string, number>;
  /** All of it, in seconds, as the plan had it. */
  readonly expectedSeconds?: number | null;
}

/** How a card stands: the value of its `data-state`. */
export type FaceState =
  | "will-run"
  | "memory"
  | "disk"
  | "unneeded"
  | "unknown"
  | "waits"
  | "running"
  | "done"
  | "failed"
  | "problem"
  | "blocked"
  | "muted"
  | "left-out"
  | "bypassed"
  | "missing";

/** A node's foot: the same for the card, the outline and a screen reader. */
export interface Face {
  readonly state: FaceState;
  /** "step 14 of 25". */
  readonly words: string;
  /** What stands at the right: "4.5 s left"; may be empty. */
  readonly aside: string;
  /** 0 to 1, where a bar is drawn. */
  readonly bar?: number;
  /** Name of the icon. */
  readonly icon: string;
  /** The icon turns while the node works. */
  readonly turns?: boolean;
  /** Cells, one per item: how many are done, of how many. */
  readonly items?: { readonly done: number; readonly of: number };
  /** What the words' reason is, for a tip. */
  readonly tip?: string;
  /** What went wrong, in a sentence, to stand above the foot. */
  readonly message?: string;
  /** Links at the right: the canvas gives them their action. */
  readonly links?: readonly ("Log" | "Retry" | "Replace" | "Open")[];
  /** The object URL or address of a picture, with the words in its corner. */
  readonly picture?: { readonly source: string; readonly corner: string };
}

export interface Notice {
  readonly id: string;
  readonly kind: "info" | "warn" | "failed";
  readonly text: string;
  /** The bold words before the text. */
  readonly head?: string;
  readonly actions?: readonly { readonly label: string; readonly run: () => void }[];
  /** Closes by itself when what it tells of has passed; the reader cannot close it. */
  readonly stays?: boolean;
}
