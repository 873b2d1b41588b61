/** Any command by its name: type, choose, done. */
import { useMemo, useState } from "react";
import { allCommands, type Command, keysOf, runCommand } from "../keys/commands";
import { shownPress } from "../keys/press";
import { Icon } from "../marks";
import { closeDialog, openDialog } from "./Dialog";

/** How well a command fits what was typed: the words in order of letters; null when it does not. */
export function rank(command: Pick<Command, "label" | "words" | "group">, query: string): number | null {
  const wanted = query.trim().toLowerCase();
  if (wanted === "") return 0;
  const label = command.label.toLowerCase();
  if (label.startsWith(wanted)) return 0;
  if (label.split(/\W+/).some((word) => word.startsWith(wanted))) return 1;
  if (label.includes(wanted)) return 2;
  const text = `${label} ${command.words ?? ""} ${command.group}`.toLowerCase();
  if (wanted.split(/\s+/).every((word) => text.includes(word))) return 3;
  let at = 0;
  for (const letter of wanted.replace(/\s/g, "")) {
    at = label.indexOf(letter, at) + 1;
    if (at === 0) return null;
  }
  return 4;
}

export function openCommandList(): void {
  openDialog({ title: "Any command", body: () => <CommandList /> });
}

function CommandList() {
  const [query, setQuery] = useState("");
  const [at, setAt] = useState(0);
  const hits = useMemo(() => {
    const found: { command: Command; rank: number }[] = [];
    for (const command of allCommands()) {
      const fit = command.unlisted ? null : rank(command, query);
      if (fit !== null && command.when?.() !== false) found.push({ command, rank: fit });
    }
    return found.sort((a, b) => a.rank - b.rank || a.command.label.localeCompare(b.command.label)).slice(0, 60);
  }, [query]);
  const choose = (index: number) => {
    const hit = hits[index];
    if (!hit) return;
    closeDialog();
    // The dialog gives the focus back first: what a command does depends on where it is.
    requestAnimationFrame(() => runCommand(hit.command.id));
  };
  return (
    <div className="commands">
      <div className="search">
        <Icon name="search" />
        <input
          autoFocus
          role="combobox"
          aria-label="Command"
          aria-expanded="true"
          aria-controls="command-hits"
          aria-activedescendant={hits[at] ? `command-${hits[at].command.id}` : undefined}
          placeholder="What do you want to do?"
          value={query}
          onChange={(event) => {
            setQuery(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={(event) => {
            if (event.key === "ArrowDown") setAt(Math.min(at + 1, hits.length - 1));
            else if (event.key === "ArrowUp") setAt(Math.max(at - 1, 0));
            else if (event.key === "Enter") choose(at);
            else return;
            event.preventDefault();
          }}
        />
      </div>
      <ul id="command-hits" role="listbox" aria-label="Commands" className="commands__hits">
        {hits.map(({ command }, index) => (
          <li
            key={command.id}
            id={`command-${command.id}`}
            role="option"
            aria-selected={index === at}
            className={`item${index === at ? " item--chosen" : ""}`}
            ref={(element) => {
              if (index === at) element?.scrollIntoView({ block: "nearest" });
            }}
            onPointerMove={() => setAt(index)}
            onClick={() => choose(index)}
          >
            {command.icon ? <Icon name={command.icon} /> : <span className="menu__gap" />}
            <span className="cut">{command.label}</span>
            <span className="push faint small">{command.group}</span>
            {keysOf(command)[0] !== undefined && <kbd>{shownPress(keysOf(command)[0] ?? "")}</kbd>}
          </li>
        ))}
      </ul>
      {hits.length === 0 && <p className="item quiet">No command has these words.</p>}
    </div>
  );
}
