/** Workflows that come along: picture, title, words. A click opens a copy. */
import { useEffect, useState } from "react";
import { keysOf } from "../document/objects";
import { parseDocument } from "../document/text";
import { Icon } from "../marks";
import { api } from "../service/api";
import type { Example } from "../service/types";
import { refreshExamples, useCatalogue } from "../state/catalogue";
import { openExample } from "../state/opening";
import { counted } from "../state/words";
import { Empty } from "./Empty";
import { moveInList } from "./listKeys";
import "../styles/panels.css";

/** How many nodes each example has, asked for once. */
const nodes = new Map<string, number>();

function useNodeCounts(examples: readonly Example[]): ReadonlyMap<string, number> {
  const [, setRead] = useState(0);
  useEffect(() => {
    let gone = false;
    void (async () => {
      for (const { name } of examples) {
        if (gone) return;
        if (nodes.has(name)) continue;
        const read = await api.example(name).then(parseDocument, () => null);
        if (read && "document" in read) nodes.set(name, keysOf(read.document.nodes).length);
        if (!gone) setRead((count) => count + 1);
      }
    })();
    return () => {
      gone = true;
    };
  }, [examples]);
  return nodes;
}

export function Examples() {
  const examples = useCatalogue((state) => state.examples);
  const [query, setQuery] = useState("");
  useEffect(() => void refreshExamples().catch(() => {}), []);
  const counts = useNodeCounts(examples);
  const found = examples.filter(({ name, title, description }) => `${name} ${title} ${description}`.toLowerCase().includes(query.trim().toLowerCase()));
  return (
    <>
      <div className="panel__title">
        Examples
        <span className="push faint tiny">{examples.length}</span>
      </div>
      <div className="search">
        <Icon name="search" />
        <input aria-label="Find an example" placeholder="Find by word" value={query} onChange={(event) => setQuery(event.currentTarget.value)} />
      </div>
      <ul className="panel__body panel__body--scrolls" data-rows aria-label="Examples">
        {found.map((example, at) => (
          <li key={example.name}>
            <button type="button" className="item--button example-row" data-row tabIndex={at === 0 ? 0 : -1} title={example.description} onClick={() => void openExample(example.name)} onKeyDown={(event) => void moveInList(event)}>
              <span className="picture example-row__picture">{example.image ? <img src={example.image} alt="" loading="lazy" /> : <Icon name="examples" />}</span>
              <span className="medium cut">{example.title || example.name}</span>
              <span className="quiet tiny cut">
                {example.name}
                {counts.has(example.name) ? ` · ${counted(counts.get(example.name) ?? 0, "node")}` : ""}
              </span>
            </button>
          </li>
        ))}
        {examples.length > 0 && found.length === 0 && (
          <li>
            <Empty title="None has these words">Words are looked for in titles and descriptions.</Empty>
          </li>
        )}
      </ul>
    </>
  );
}
