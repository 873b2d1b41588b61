/** Puts the parts together. */
import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { Canvas } from "./canvas";
import { registerCommands } from "./keys/commands";
import { listenToKeys } from "./keys/dispatch";
import { registerPanels } from "./keys/panels";
import { bringAll } from "./marks/later";
import { panels } from "./panels";
import { start } from "./state/start";
import { showConflicts } from "./views/conflicts";
import { Frame } from "./views/Frame";
import { listenForHelp } from "./views/helping";
import { followTheme } from "./views/theme";
import "./styles/tokens.css";
import "./styles/components.css";
import "./styles/canvas.css";
import "./styles/widgets.css";
import "./styles/views.css";

registerPanels(panels);
followTheme();
listenForHelp();
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
void import("./commands").then(({ commands }) => {
  registerCommands(commands());
  draw();
});
void start().then(bringAll);
