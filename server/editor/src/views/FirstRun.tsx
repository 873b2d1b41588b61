/** Nothing is open: examples that run here in seconds, an empty workflow, what is saved, what is dropped. */
import { Icon } from "../marks";
import { useCatalogue } from "../state/catalogue";
import { openEmpty, openExample, openSaved } from "../state/opening";
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
    <main className="first" data-region="first steps" tabIndex={-1}>
      <div className="first__box">
        <h2 className="first__title">What do you want to make?</h2>
        <p className="quiet">
          Each of these runs on this machine in seconds, with the model that comes along. Nothing is downloaded. A click opens a copy.
        </p>
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
          <span className="quiet">or drop a workflow here, or a picture with one inside.</span>
        </div>
        {lately.length > 0 && (
          <section>
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
