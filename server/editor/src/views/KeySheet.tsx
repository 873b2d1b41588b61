/** All keys, and giving commands other ones. */
import { useState } from "react";
import { allCommands, type Command, keysOf } from "../keys/commands";
import { matches, parsePress, pressText, shownPress } from "../keys/press";
import { Icon } from "../marks";
import { prefer, usePreferences } from "../state/preferences";
import { openDialog } from "./Dialog";

export function openKeySheet(): void {
  openDialog({ title: "Keys", wide: true, body: () => <KeySheet /> });
}

/** Commands of the same place that have a key already. */
export function takenBy(key: string, command: Command, commands: readonly Command[]): Command | undefined {
  const wanted = parsePress(key);
  const press = { key: wanted.key, ctrlKey: wanted.ctrl, metaKey: false, altKey: wanted.alt, shiftKey: wanted.shift };
  const places = new Set([command.where].flat());
  return commands.find(
    (other) =>
      other.id !== command.id &&
      [other.where].flat().some((scope) => scope === "anywhere" || places.has(scope) || places.has("anywhere")) &&
      keysOf(other).some((text) => matches(text, press, false)),
  );
}

function KeySheet() {
  usePreferences((state) => state.keys);
  const singleKeys = usePreferences((state) => state.singleKeys);
  const [query, setQuery] = useState("");
  const groups = new Map<string, Command[]>();
  const wanted = query.trim().toLowerCase();
  for (const command of allCommands()) {
    if (wanted && !`${command.label} ${command.group}`.toLowerCase().includes(wanted)) continue;
    groups.set(command.group, [...(groups.get(command.group) ?? []), command]);
  }
  return (
    <>
      <div className="row keys__head">
        <div className="search keys__search">
          <Icon name="search" />
          <input autoFocus aria-label="Find a key" placeholder="Find" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
        </div>
        <label className="row keys__single">
          <input type="checkbox" checked={singleKeys} onChange={(event) => prefer({ singleKeys: event.currentTarget.checked })} />
          Single keys work on the canvas and in lists
        </label>
        <button type="button" className="button button--small push" onClick={() => prefer({ keys: {} })}>
          All as they came
        </button>
      </div>
      <div className="keys" tabIndex={0} role="region" aria-label="Keys by what they do">
        {[...groups].map(([group, commands]) => (
          <section key={group} className="keys__group">
            <h3 className="section__title">{group}</h3>
            <ul>
              {commands.map((command) => (
                <KeyRow key={command.id} command={command} />
              ))}
            </ul>
          </section>
        ))}
      </div>
    </>
  );
}

function KeyRow({ command }: { readonly command: Command }) {
  const [asking, setAsking] = useState(false);
  const [problem, setProblem] = useState("");
  const own = usePreferences((state) => state.keys);
  const give = (keys: readonly string[] | null) => {
    const { [command.id]: _, ...rest } = own;
    prefer({ keys: keys === null ? rest : { ...rest, [command.id]: keys } });
  };
  return (
    <li className="item keys__row">
      <span className="cut">{command.label}</span>
      <span className="push row keys__keys">
        {problem && <span className="tiny quiet">{problem}</span>}
        <button
          type="button"
          className="button button--small button--plain"
          aria-label={`Keys of ${command.label}: ${keysOf(command).map((key) => shownPress(key)).join(" ") || "none"}. Change`}
          onClick={() => setAsking(true)}
          onBlur={() => setAsking(false)}
          onKeyDown={(event) => {
            if (!asking) return;
            event.preventDefault();
            event.stopPropagation();
            if (event.key === "Escape") return setAsking(false);
            if (event.key === "Backspace" && !event.ctrlKey) {
              give([]);
              return setAsking(false);
            }
            const text = pressText(event);
            if (text === null) return;
            const taken = takenBy(text, command, allCommands());
            setProblem(taken ? `${shownPress(text)} is for: ${taken.label}` : "");
            if (taken) return;
            give([text]);
            setAsking(false);
          }}
        >
          {asking ? <span className="quiet">press keys, ⌫ for none</span> : keysOf(command).map((key) => <span key={key}><kbd>{shownPress(key)}</kbd> </span>)}
          {!asking && keysOf(command).length === 0 && <span className="faint">none</span>}
        </button>
        {Object.hasOwn(own, command.id) && (
          <button type="button" className="reset" aria-label={`Keys of ${command.label} as they came`} onClick={() => give(null)}>
            <Icon name="reset" small />
          </button>
        )}
      </span>
    </li>
  );
}
