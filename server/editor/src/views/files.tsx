/** Dialogs about files: open, save under a name, earlier versions. */
import { refreshWorkflows } from "../state/catalogue";
import { openFile } from "../state/opening";
import { save } from "../state/saving";
import { tabOf } from "../state/workspace";
import { openDialog } from "./Dialog";
import { Open } from "./OpenDialog";
import { SaveAs } from "./SaveAs";
import { Versions } from "./Versions";

/** Saves the tab that is shown; one without a name asks for it. */
export async function saveTab(): Promise<void> {
  if ((await save()) === "unnamed") openSaveAs();
}

export function openSaveAs(): void {
  if (!tabOf()) return;
  // Which names are taken may have changed since.
  void refreshWorkflows().catch(() => {});
  openDialog({ title: "Save as", body: () => <SaveAs /> });
}

/** Chooses files of this computer; each comes into a tab. */
export function chooseFiles(): void {
  const input = document.createElement("input");
  input.type = "file";
  input.multiple = true;
  input.accept = ".json,application/json,image/png,image/webp,image/jpeg";
  input.addEventListener("change", () => {
    for (const file of input.files ?? []) void openFile(file);
  });
  input.click();
}

export function openOpen(): void {
  void refreshWorkflows().catch(() => {});
  openDialog({ title: "Open a workflow", body: () => <Open fromHere={chooseFiles} /> });
}

export function openVersions(): void {
  const tab = tabOf();
  if (tab?.name) openDialog({ title: `Versions of ${tab.name}`, wide: true, body: () => <Versions name={tab.name ?? ""} tab={tab.id} /> });
}
