/** Settings of this browser. */
import { say } from "../state/notices";
import { prefer, resetPanels, type Theme, usePreferences } from "../state/preferences";
import { openDialog } from "./Dialog";
import { openKeySheet } from "./KeySheet";

export function openPreferences(): void {
  openDialog({ title: "Settings of this browser", body: () => <Settings /> });
}

const THEMES: readonly (readonly [Theme, string])[] = [
  ["system", "as the system"],
  ["dark", "dark"],
  ["light", "light"],
];

function Settings() {
  const { theme, wheel, singleKeys } = usePreferences();
  return (
    <div className="settings">
      <fieldset>
        <legend>Theme</legend>
        {THEMES.map(([value, label]) => (
          <label key={value} className="row">
            <input type="radio" name="theme" checked={theme === value} onChange={() => prefer({ theme: value })} />
            {label}
          </label>
        ))}
      </fieldset>
      <fieldset>
        <legend>The wheel on the canvas</legend>
        <label className="row">
          <input type="radio" name="wheel" checked={wheel === "zoom"} onChange={() => prefer({ wheel: "zoom" })} />
          zooms at the pointer
        </label>
        <label className="row">
          <input type="radio" name="wheel" checked={wheel === "pan"} onChange={() => prefer({ wheel: "pan" })} />
          pans, and zooms with Ctrl
        </label>
      </fieldset>
      <fieldset>
        <legend>Panels</legend>
        <button type="button" className="button button--small" onClick={() => (resetPanels(), say("The panels have their usual sizes."))}>
          Usual sizes and places
        </button>
      </fieldset>
      <fieldset>
        <legend>Keys</legend>
        <label className="row">
          <input type="checkbox" checked={singleKeys} onChange={(event) => prefer({ singleKeys: event.currentTarget.checked })} />
          Single keys work on the canvas and in lists
        </label>
        <button type="button" className="button button--small" onClick={openKeySheet}>
          See and change all keys
        </button>
      </fieldset>
    </div>
  );
}
