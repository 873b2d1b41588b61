/** All commands with their keys: the part that comes right after the first picture. */
import { commands as ofCanvas } from "./canvas/commands";
import type { Command } from "./keys/commands";
import { commands as ofPanels } from "./panels/commands";
import { commands as ofFrame, panelCommands } from "./views/commands";

export { listenToRequests } from "./views/requests";

export const commands = (): Command[] => [...ofFrame, ...ofCanvas, ...ofPanels, ...panelCommands()];
