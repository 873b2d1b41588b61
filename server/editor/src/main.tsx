/** Puts the parts together. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Canvas } from "./canvas";
import { registerCommands } from "./keys/commands";
import { listenToKeys } from "./keys/dispatch";
import { registerPanels } from "./keys/panels";
import { bringAll, whenMissing } from "./marks/later";
import { panels } from "./panels";
import { say } from "./state/notices";
import { start } from "./state/start";
import { showConflicts } from "./views/conflicts";
import { Frame } from "./views/Frame";
import { followTheme } from "./views/theme";
import "./styles/tokens.css";
import "./styles/components.css";
import "./styles/canvas.css";
import "./styles/widgets.css";
import "./styles/views.css";

registerPanels(panels);
followTheme();
showConflicts();
listenToKeys();

const element = document.getElementById("app");
const root = element === null ? null : createRoot(element);

function draw(): void {
  root?.render(
    <StrictMode>
      <Frame canvas={Canvas} />
    </StrictMode>,
  );
}

draw();
// Commands are what buttons and keys do: they are asked for with the first picture, which does not wait for them.
void import("./commands").then(({ commands, listenToRequests }) => {
  listenToRequests();
  registerCommands(commands());
  draw();
});
whenMissing(() => say("This part of the page is not here yet, and the server does not answer."));
void start()
  .then(bringAll)
  .then(() => import("./layout/placed"))
  .catch(() => {});
