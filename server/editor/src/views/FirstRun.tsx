/** Nothing is open: examples that run here in seconds, an empty workflow, what is saved, what is dropped. */
import { commandOf, keysOf } from "../keys/commands";
import { shownPress } from "../keys/press";
import { Icon } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { openEmpty, openExample, openSaved } from "../state/opening";
import { usePreferences } from "../state/preferences";
import { counted } from "../state/words";
import { chooseFiles, openOpen } from "./files";
import "../styles/others.css";

/** Shown first, where they are there: from one picture to several techniques at once. */
const FIRST = ["text_to_image", "sega", "controlnet", "load_textual_inversion", "map_sweep", "attend_and_excite_controlnet_lora"];

export function FirstRun() {
  const examples = useCatalogue((state) => state.examples);
  const workflows = useCatalogue((state) => state.workflows);
  const known = FIRST.flatMap((name) => examples.find((example) => example.name === name) ?? []);
  const shown = [...known, ...examples.filter((example) => example.image && !known.includes(example))].slice(0, 6);
  const lately = [...workflows].sort((a, b) => b.modified - a.modified).slice(0, 6);
  return (
    <main className="first" data-region="first steps" data-scope="canvas" tabIndex={-1}>
      <div className="first__box">
        <h2 className="first__title">What should it make?</h2>
        <p className="quiet">Everything below runs on this machine now: a small trained model comes with Weft, and a picture takes a few seconds.</p>
        <ul className="examples">
          {shown.map((example) => (
            <li key={example.name}>
              <button type="button" className="example" onClick={() => void openExample(example.name)}>
                {example.image ? <img className="example__picture" src={example.image} alt="" loading="lazy" /> : <span className="example__picture" />}
                <span className="medium">{example.title || example.name}</span>
                <span className="quiet small example__words">{example.description}</span>
              </button>
            </li>
          ))}
        </ul>
        <div className="first__ways">
          <button type="button" className="button button--large" onClick={() => openEmpty()}>
            <Icon name="plus" />
            Empty workflow
          </button>
          <button type="button" className="button button--large" onClick={openOpen}>
            <Icon name="folder" />
            Open
          </button>
          <button type="button" className="button button--large" onClick={chooseFiles}>
            <Icon name="file" />
            From this computer
          </button>
          <span className="quiet">or drop a picture that Weft made: its workflow is inside.</span>
        </div>
        <Facts />
        {lately.length > 0 && (
          <section className="first__more">
            <h3 className="section__title">Saved lately</h3>
            <ul className="first__saved">
              {lately.map((listed) => (
                <li key={listed.name}>
                  <button type="button" className="item item--button" onClick={() => void openSaved(listed.name)}>
                    <Icon name="file" />
                    <span className="cut">{listed.name}</span>
                    <span className="push faint small">{new Date(listed.modified * 1000).toLocaleDateString()}</span>
                  </button>
                </li>
              ))}
            </ul>
          </section>
        )}
      </div>
    </main>
  );
}

const KEYS = [
  ["canvas.add", "add a node"],
  ["run.run", "run"],
  ["help.keys", "all"],
] as const;

/** What is there: the model, where one's own goes, and the keys to begin with. */
function Facts() {
  const models = useCatalogue((state) => state.models);
  const system = useCatalogue((state) => state.system);
  usePreferences((state) => state.keys);
  const bundled = models.find((model) => model.bundled && model.kind === "checkpoint") ?? models.find((model) => model.bundled);
  const own = models.filter((model) => !model.bundled).length;
  const device = system?.devices[0]?.name;
  return (
    <div className="first__facts">
      <div>
        <b className="medium">{bundled?.name ?? "A small model"}</b>
        <span className="quiet small">comes with Weft, ready{device ? `, runs on ${device}` : ""}</span>
      </div>
      <div>
        <b className="medium">Your own checkpoint</b>
        <span className="quiet small">
          {own > 0 ? `${counted(own, "model")} of yours found; ` : ""}name it in <span className="code">load_model.source</span>
        </span>
      </div>
      <div>
        <b className="medium">Keys</b>
        <span className="quiet small">
          {KEYS.map(([id, words]) => {
            const command = commandOf(id);
            const key = command && keysOf(command)[0];
            return key === undefined ? null : (
              <span key={id} className="keys-of">
                <kbd>{shownPress(key)}</kbd>
                {words}
              </span>
            );
          })}
        </span>
      </div>
    </div>
  );
}
