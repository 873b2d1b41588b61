/** The workflow as text: JSON that can be edited, and Python to copy. */
import { useEffect, useMemo, useState } from "react";
import { replaceDocument } from "../document/replace";
import { documentText, parseDocument } from "../document/text";
import { Icon } from "../marks";
import { api } from "../service/api";
import { words } from "../service/refused";
import { say } from "../state/notices";
import { useWorkspace } from "../state/workspace";
import { openDialog } from "./Dialog";

export async function copyText(text: string, what: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
    say(`${what} is on the clipboard`);
  } catch {
    say(`The browser did not let ${what} onto the clipboard.`);
  }
}

/** Copies the tab's workflow as a Python program. */
export async function copyAsPython(): Promise<void> {
  const { tabs, current } = useWorkspace.getState();
  const tab = tabs.find((one) => one.id === current);
  if (!tab) return;
  try {
    await copyText(await api.python(documentText(tab.history.document)), "The Python program");
  } catch (error) {
    say(words(error));
  }
}

export function openTextView(kind: "json" | "python" = "json"): void {
  openDialog({ title: "The workflow as text", wide: true, body: () => <TextView first={kind} /> });
}

function TextView({ first }: { readonly first: "json" | "python" }) {
  const tab = useWorkspace((state) => state.tabs.find((one) => one.id === state.current));
  const [kind, setKind] = useState(first);
  const [typed, setTyped] = useState<string | null>(null);
  const [python, setPython] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const document = tab?.history.document;
  const json = useMemo(() => (document ? documentText(document) : ""), [document]);
  useEffect(() => {
    if (kind !== "python" || json === "") return;
    let gone = false;
    setPython(null);
    api.python(json).then(
      (text) => !gone && setPython(text),
      (error: unknown) => !gone && setPython(`# ${words(error)}`),
    );
    return () => {
      gone = true;
    };
  }, [kind, json]);
  if (!tab || !document) return null;
  const apply = () => {
    const read = parseDocument(typed ?? json);
    if (!("document" in read)) {
      const place = read.line === undefined ? "" : ` Line ${read.line}, column ${read.column ?? 1}.`;
      return setProblem(read.problem + place);
    }
    setProblem("");
    if (useWorkspace.getState().edit(replaceDocument(document, read.document, "edit as text"), { tab: tab.id })) setTyped(null);
  };
  const text = kind === "json" ? (typed ?? json) : (python ?? "asking the server");
  return (
    <div className="textview">
      <div className="row textview__head">
        <div className="segments" role="radiogroup" aria-label="Language">
          {(["json", "python"] as const).map((name) => (
            <button key={name} type="button" className="segment" role="radio" aria-checked={kind === name} onClick={() => setKind(name)}>
              {name === "json" ? "JSON" : "Python"}
            </button>
          ))}
        </div>
        <button type="button" className="button button--small push" onClick={() => void copyText(text, kind === "json" ? "The workflow" : "The Python program")}>
          <Icon name="copy" small />
          Copy
        </button>
        {kind === "json" && typed !== null && typed !== json && (
          <button type="button" className="button button--small button--work" onClick={apply}>
            Take it over
          </button>
        )}
      </div>
      {problem && (
        <p className="card__message" role="alert">
          {problem}
        </p>
      )}
      <textarea
        className="field textview__text code"
        aria-label={kind === "json" ? "The workflow as JSON" : "The workflow as Python"}
        spellCheck={false}
        readOnly={kind === "python"}
        value={text}
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
    </div>
  );
}
