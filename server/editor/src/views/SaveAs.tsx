/** Saves a workflow under a name. One that is taken is written over only where the button says so. */
import { useState } from "react";
import { useCatalogue } from "../state/catalogue";
import { save } from "../state/saving";
import { tabOf } from "../state/workspace";
import { closeDialog } from "./Dialog";
import { asName, nameFault, proposedName } from "./names";

export function SaveAs() {
  const [tab] = useState(() => tabOf());
  const [typed, setTyped] = useState(() => tab?.name ?? proposedName(tab?.title === "untitled" ? "" : (tab?.title ?? "")));
  const [tried, setTried] = useState(false);
  const name = asName(typed);
  const there = useCatalogue((state) => state.workflows.find((listed) => listed.name === name));
  const fault = nameFault(name);
  const shown = fault && (tried || name !== "") ? fault : null;
  const own = name === tab?.name;
  return (
    <form
      className="dialog__form"
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (fault) return;
        closeDialog();
        // Its own name goes by the etag that was read: who saved meanwhile is not written over.
        void save(tab?.id, name, own ? undefined : there?.etag);
      }}
    >
      <label htmlFor="save-name">Name</label>
      <input
        id="save-name"
        autoFocus
        className={`field${shown ? " field--failed" : ""}`}
        value={typed}
        aria-describedby="save-help"
        aria-invalid={shown !== null}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onFocus={(event) => event.currentTarget.select()}
      />
      <p id="save-help" className={`small ${shown ? "failed" : "quiet"}`} role="status">
        {shown ?? (there && !own ? `${name} is there already, saved ${new Date(there.modified * 1000).toLocaleString()}. Save over it, or give another name.` : "A plain JSON file in the server's data folder.")}
      </p>
      <div className="dialog__acts">
        <button type="button" className="button" onClick={closeDialog}>
          Not now
        </button>
        <button type="submit" className="button button--work">
          {there && !own ? "Save over it (the version now stays as an earlier one)" : "Save"}
        </button>
      </div>
    </form>
  );
}
