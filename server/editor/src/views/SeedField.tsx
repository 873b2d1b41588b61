/** The seed of the workflow, with what it does before the next run; and the switch of live runs. */
import { useEffect, useState } from "react";
import { setInput } from "../document/edits";
import { jsonNumber } from "../document/numbers";
import type { Json } from "../document/types";
import { Icon } from "../marks";
import { setLive } from "../state/live";
import { drawSeed, seedBefore, seedInputs, seedText } from "../state/seeds";
import type { SeedPolicy, Tab } from "../state/types";
import { useWorkspace } from "../state/workspace";
import { MenuButton, type MenuItem } from "./Menu";

const POLICIES: readonly (readonly [SeedPolicy, string, string])[] = [
  ["keep", "same picture", "dash"],
  ["next", "seed + 1 each run", "plus"],
  ["random", "drawn each run", "dice"],
];

/** What the policies are, as a menu: keep, next, random, and the seed before. */
export function seedItems(tab: Tab, input: string): MenuItem[] {
  const now = tab.seeds.get(input) ?? "keep";
  return [
    ...POLICIES.map(([policy, aside, icon]) => ({
      id: policy,
      label: policy,
      aside,
      icon,
      checked: policy === now,
      run: () => {
        for (const seed of seedInputs(tab.history.document)) useWorkspace.getState().setSeedPolicy(seed, policy);
      },
    })),
    { id: "draw", label: "draw a seed", icon: "dice", keys: "S", separate: true, run: () => void drawSeed() },
    { id: "before", label: "the seed before", icon: "undo", keys: "Shift+S", run: () => void seedBefore() },
  ];
}

export function SeedField({ tab }: { readonly tab: Tab }) {
  const document = tab.history.document;
  const [first] = seedInputs(document);
  const value = first === undefined ? null : seedText(document, first);
  const [typed, setTyped] = useState<string | null>(null);
  useEffect(() => setTyped(null), [value]);
  if (first === undefined || value === null) return null;
  const [node = "", input = ""] = first.split(/\.(.*)/s);
  const take = () => {
    const text = typed?.trim();
    setTyped(null);
    if (text === undefined || !/^\d{1,19}$/.test(text) || text === value) return;
    const number = jsonNumber(text, "int");
    if (number !== null) useWorkspace.getState().edit(setInput(document, null, node, input, number as Json), { tab: tab.id });
  };
  return (
    <div className="field field--seed" role="group" aria-label="Seed">
      <label className="field__name" htmlFor="seed-of-workflow">
        Seed
      </label>
      <input
        id="seed-of-workflow"
        className="field__value"
        inputMode="numeric"
        title={`${first}: ${value}`}
        value={typed ?? value}
        onChange={(event) => setTyped(event.currentTarget.value)}
        onBlur={take}
        onKeyDown={(event) => {
          if (event.key === "Enter") take();
          else if (event.key === "Escape") setTyped(null);
        }}
      />
      <MenuButton className="chip chip--policy" label={`${tab.seeds.get(first) ?? "keep"}: what the seed does before a run`} right items={() => seedItems(tab, first)}>
        {tab.seeds.get(first) ?? "keep"}
        <Icon name="down" small />
      </MenuButton>
    </div>
  );
}

export function LiveSwitch({ tab }: { readonly tab: Tab }) {
  return (
    <button
      type="button"
      className="button button--plain live"
      role="switch"
      aria-checked={tab.live}
      title="Runs again after each edit and cancels the run before; what it had done is not lost"
      onClick={() => setLive(tab.id, !tab.live)}
    >
      <Icon name="live" />
      Live
      <span className={`switch switch--work${tab.live ? " switch--on" : ""}`} aria-hidden="true" />
    </button>
  );
}
