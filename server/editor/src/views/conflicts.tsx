/** A save that was refused since someone else saved: notices offer what differs. */
import { compareConflictsBy } from "../state/saving";
import { tabOf } from "../state/workspace";
import { openDialog } from "./Dialog";

/** From now on notices of a refused save offer "What differs". */
export function showConflicts(): void {
  compareConflictsBy((tab) => {
    void import("./Conflict").then(({ Conflict }) => {
      openDialog({ title: `${tabOf(tab)?.name ?? "The workflow"} was saved by someone else`, wide: true, body: () => <Conflict id={tab} /> });
    });
  });
}
