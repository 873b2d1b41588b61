/** Opens what a sweep is asked by, and its grid; their code comes when they are. */
import { lazily } from "../panels/lazily";
import { suggested, sweepInputs } from "../panels/sweepInputs";
import { useCatalogue } from "../state/catalogue";
import { tabOf } from "../state/workspace";
import { openDialog } from "./Dialog";

const SweepForm = lazily(async () => (await import("./Sweep")).SweepForm);
const SweepGrids = lazily(async () => (await import("./Sweep")).SweepGrids);

/** "Run with seeds 4 to 13…", or what else can be varied. */
export function sweepLabel(): string {
  const tab = tabOf();
  const { catalogue } = useCatalogue.getState();
  const first = tab && catalogue ? sweepInputs(tab.history.document, catalogue)[0] : undefined;
  return tab && first?.seed ? `Run with seeds ${suggested(first, tab.history.document)}…` : "Run with several values…";
}

export function openSweep(): void {
  if (tabOf()) openDialog({ title: "Run with several values", body: () => <SweepForm /> });
}

export function openSweepGrid(): void {
  openDialog({ title: "Sweeps", wide: true, body: () => <SweepGrids /> });
}
